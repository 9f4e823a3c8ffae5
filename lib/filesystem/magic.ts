import { errno } from '../format/errno.js';
import { fromText, toBytes, type ByteString } from '../format/bytes.js';
import { done, type Outcome, andThen, failure } from '../store/want.js';
import type { Entry } from '../tree/entry.js';
import type { Filesystem } from './filesystem.js';
import { entryValues, globalValues, type MagicContext, type MagicValue } from './magic-values.js';

/** Extended attributes of an entry: those stored in the catalog, and the magic ones above them. */
export interface ExtendedAttributes {
  /** ENODATA where there is none of this name; EOPNOTSUPP for a label of SELinux. */
  get(entry: Entry, name: ByteString): Outcome<Buffer>;
  /** Stored names; magic ones on the root only, as is the default of the reference, without the long verdict. */
  list(entry: Entry): readonly ByteString[];
}

/** About so many characters are a page; lines are kept whole (docs/format.md, 9.4). */
const pageBytes = 40_000;

/**
 * The magic extended attributes of the reference client under the same names (docs/format.md,
 * 9.4), where they make sense here, and `user.pinfs.trust`. A magic name hides a stored one.
 */
export function magicAttributes(context: MagicContext): ExtendedAttributes {
  const { tree, identity } = context;
  return {
    get(entry, name) {
      const asked = parseName(name);
      const magic = asked === undefined ? undefined : find(asked.base);
      if (asked !== undefined && magic !== undefined) {
        return andThen(magic(context, entry), (value) => page(value, asked));
      }
      const stored = entry.xattrs?.get(name);
      return stored === undefined ? failure(absent(name)) : done(stored);
    },
    list(entry) {
      const stored = [...(entry.xattrs?.keys() ?? [])];
      // Of other types the kernel gives `user.*` to nobody (xattr(7)): what can't be had is not listed.
      const mayUser = entry.type === 'file' || entry.type === 'directory';
      const names = new Set(mayUser ? stored : stored.filter((name) => !name.startsWith('user.')));
      if (entry.node === tree.root) {
        const unlisted = new Set([
          // Alone it would be most of what ext4 can keep of a file, and who copies attributes copies what is listed.
          'pinfs.trust',
          ...(tree.properties.vomsAuthz === undefined ? ['authz'] : []),
          ...(identity.externalLabel === undefined ? ['external_host'] : []),
          ...(identity.metainfo === undefined ? ['repo_metainfo'] : []),
        ]);
        for (const base of globalValues.keys()) if (!unlisted.has(base)) names.add(`user.${base}`);
      }
      return [...names];
    },
  };
}

/**
 * What is said of an attribute that isn't stored. `ls -l` asks for the label of every file, one by one, and stops
 * asking a file system that has none.
 */
export function absent(name: ByteString): number {
  return name === 'security.selinux' ? errno.EOPNOTSUPP : errno.ENODATA;
}

/** Whether a repository asks its readers for a membership; then nobody but who mounts it may come in. */
export function asksForMembership(filesystem: Filesystem): boolean {
  return filesystem.getxattr(filesystem.root, 'user.authz').kind === 'done';
}

/** Names of attributes that only some groups may read: to all others they are not there. */
export interface ProtectedAttributes {
  /** Whole names, such as `user.logbuffer`. */
  readonly names: readonly string[];
  /** Groups besides 0. */
  readonly gids: readonly number[];
}

/**
 * Whether an attribute is kept from a caller with this primary group, whatever page of it he asks for.
 * @param gid undefined: it isn't known who asks.
 */
export function isKeptFrom(
  { names, gids }: ProtectedAttributes,
  gid: number | undefined,
  name: ByteString,
): boolean {
  if (gid === 0) return false;
  if (gid !== undefined && gids.includes(gid)) return false;
  return names.includes(name) || names.includes(name.replace(/[~@].*$/s, ''));
}

function find(base: string): MagicValue | undefined {
  return globalValues.get(base) ?? entryValues.get(base);
}

interface AskedName {
  readonly base: string;
  /** `~`: for machines; `@`: for people, with a line above the page and texts in place of errors. */
  readonly mode: '~' | '@' | undefined;
  /** Number of the page, 0 based; undefined: `?`, how many there are. */
  readonly page: number | undefined;
}

const magicName = /^user\.([a-z0-9_.]{1,64})(?:([~@])([0-9]{1,9}|\?))?$/;

function parseName(name: ByteString): AskedName | undefined {
  // Linux forbids user.* on symlinks, so this one has a second name.
  if (name === 'xfsroot.rawlink') return { base: 'rawlink', mode: undefined, page: 0 };
  const match = magicName.exec(name);
  const base = match?.[1];
  if (match === null || base === undefined) return undefined;
  const mode = match[2] === '~' || match[2] === '@' ? match[2] : undefined;
  return { base, mode, page: match[3] === '?' ? undefined : Number(match[3] ?? '0') };
}

const howToAsk =
  'Page N, counted from 0, is NAME~N for programs and NAME@N for people; NAME~? tells how many there are.';

function page(value: ByteString, asked: AskedName): Outcome<Buffer> {
  const pages = splitPages(value);
  const people = asked.mode === '@';
  if (asked.page === undefined) {
    return people
      ? done(text(`${howToAsk}\nPages available: ${pages.length}\n`))
      : done(text(`num_pages, ${pages.length}`));
  }
  const content = pages[asked.page];
  if (content === undefined) {
    return people
      ? done(
          text(`There is no page ${asked.page}. ${howToAsk}\nPages available: ${pages.length}\n`),
        )
      : failure(errno.ENODATA);
  }
  if (!people) return done(toBytes(content));
  const head = `# Access page at idx: ${asked.page}. Total num pages: ${pages.length} (${howToAsk})\n`;
  return done(toBytes(head + content));
}

function text(value: string): Buffer {
  return toBytes(fromText(value));
}

/** Cuts a value behind the line with which a page is full; an empty value is one empty page. */
export function splitPages(value: ByteString): readonly ByteString[] {
  const pages: ByteString[] = [];
  let start = 0;
  while (value.length - start > pageBytes) {
    const lineEnd = value.indexOf('\n', start + pageBytes);
    // A line that never ends is cut: the kernel takes no value above 64 KiB.
    const end =
      lineEnd >= 0 && lineEnd < start + pageBytes + 4096 ? lineEnd + 1 : start + pageBytes;
    pages.push(value.slice(start, end));
    start = end;
  }
  if (start < value.length || pages.length === 0) pages.push(value.slice(start));
  return pages;
}
