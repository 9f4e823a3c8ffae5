import { errno } from '../format/errno.js';
import type { ByteString } from '../format/bytes.js';
import { done, type Outcome, andThen, failure } from '../store/want.js';
import type { Entry, NodeId } from '../tree/entry.js';
import type { Listing, Tree } from '../tree/tree.js';
import { sound } from './attributes.js';
import type { DirectoryPage } from './filesystem.js';

// `.` has cookie 1 and `..` cookie 2; those of the tree, which begin at 1, lie behind them.
const dotCount = 2;

/**
 * Up to `limit` names of a directory behind the cookie `after` (0: from the start).
 * Broken entries are in it: they have a name, and say EIO when they are touched.
 */
export function readDirectory(
  tree: Tree,
  node: NodeId,
  after: number,
  limit: number,
): Outcome<DirectoryPage> {
  return andThen(andThen(tree.entry(node), sound), (directory) => {
    if (directory.type !== 'directory') return failure(errno.ENOTDIR);
    return andThen(dotEntries(tree, directory, after, limit), (first) => {
      const rest = limit - first.names.length;
      if (rest <= 0) return done({ ...first, end: false });
      return andThen(listSome(tree, node, Math.max(0, after - dotCount), rest), (listing) =>
        done(joined(first, listing)),
      );
    });
  });
}

const pageEntriesMax = 2 ** 20;

/**
 * A page of the tree that isn't empty before the end. Hidden entries count in its limit, so that a
 * small page may hold nothing else, and then no cookie to go on from.
 */
function listSome(tree: Tree, node: NodeId, after: number, limit: number): Outcome<Listing> {
  for (let size = limit; ; size *= 2) {
    const page = tree.list(node, after, size);
    if (page.kind !== 'done') return page;
    const { entries, cookies, end } = page.value;
    if (entries.length > limit) {
      return done({
        entries: entries.slice(0, limit),
        cookies: cookies.slice(0, limit),
        end: false,
      });
    }
    if (entries.length > 0 || end || size >= pageEntriesMax) return page;
  }
}

interface Names {
  readonly names: ByteString[];
  readonly attributes: Entry[];
  readonly cookies: number[];
}

function dotEntries(tree: Tree, directory: Entry, after: number, limit: number): Outcome<Names> {
  const page: Names = { names: [], attributes: [], cookies: [] };
  if (after < 1 && limit > 0) push(page, '.', directory, 1);
  if (after >= dotCount || page.names.length >= limit) return done(page);
  return andThen(
    andThen(tree.parent(directory.node), (parent) => tree.entry(parent)),
    (parent) => {
      push(page, '..', parent, dotCount);
      return done(page);
    },
  );
}

function joined(first: Names, listing: Listing): DirectoryPage {
  for (const [index, entry] of listing.entries.entries()) {
    const cookie = listing.cookies[index];
    if (cookie !== undefined) push(first, entry.name, entry, cookie + dotCount);
  }
  return { ...first, end: listing.end };
}

function push(page: Names, name: ByteString, entry: Entry, cookie: number): void {
  page.names.push(name);
  page.attributes.push(entry);
  page.cookies.push(cookie);
}
