import { errno } from '../format/errno.js';
import { constants } from 'node:fs';
import type { ByteString } from '../format/bytes.js';
import type { Shelf } from '../store/shelf.js';
import { done, type Outcome, andThen, failure } from '../store/want.js';
import type { EntryType } from '../format/catalog-row.js';
import type { Entry, NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';
import { sound } from './attributes.js';
import { readDirectory } from './directory.js';
import type { Filesystem } from './filesystem.js';
import type { LiveFacts } from './live-facts.js';
import { magicAttributes } from './magic.js';
import { firstWant, readContent } from './reading.js';
import type { Identity } from './snapshot-descriptor.js';
import { statfsOf } from './statfs.js';

/**
 * POSIX answers over a tree. Every operation is synchronous, gives an Outcome and may be run again.
 * A repository that asks for a membership (`voms_authz`) answers EACCES to everything but the
 * attributes of the root, unless the process is root's: the caller of a request isn't known here.
 * Drivers keep other users out by not letting them in (no `allow_other` there).
 */
export function openFilesystem(
  tree: Tree,
  shelf: Shelf,
  identity: Identity,
  live: () => LiveFacts,
): Filesystem {
  const magic = magicAttributes({ tree, shelf, identity, live });
  const filesystem: Filesystem = {
    root: tree.root,
    lookup: (directory, name) => andThen(tree.lookup(directory, name), attributesIfSound),
    getattr: (node) => andThen(tree.entry(node), attributesIfSound),
    resolve: (path) => andThen(tree.resolve(path), attributesIfSound),
    readlink: (node) => andThen(entryOf(tree, node), readlink),
    readdir: (node, after, limit) => readDirectory(tree, node, after, limit),
    open: (node, flags) =>
      andThen(entryOf(tree, node), (entry) => {
        const opened = open(entry, flags);
        if (opened.kind === 'done') shelf.opened?.(() => firstWant(tree, entry));
        return opened;
      }),
    read: (node, offset, length, target, targetOffset) =>
      andThen(entryOf(tree, node), (entry) =>
        andThen(open(entry, 0), () =>
          readContent(tree, shelf, entry, { offset, length, target, targetOffset }),
        ),
      ),
    getxattr: (node, name) => andThen(entryOf(tree, node), (entry) => magic.get(entry, name)),
    listxattr: (node) => andThen(entryOf(tree, node), (entry) => done(magic.list(entry))),
    statfs: statfsOf(live),
  };
  const denied = tree.properties.vomsAuthz !== undefined && live().uid !== 0;
  return denied ? onlyTheRoot(filesystem, tree) : filesystem;
}

function attributesIfSound(entry: Entry) {
  return andThen(sound(entry), (it) => done(it));
}

function entryOf(tree: Tree, node: NodeId): Outcome<Entry> {
  return andThen(tree.entry(node), sound);
}

/** Linux' limit on a link's target: a page, with its NUL. The kernel takes no longer reply. */
const targetBytesMax = 4095;

function readlink(entry: Entry): Outcome<ByteString> {
  if (entry.type !== 'symlink') return failure(errno.EINVAL);
  return entry.target.length > targetBytesMax ? failure(errno.ENAMETOOLONG) : done(entry.target);
}

// What open(2) and read(2) say of a type; 0: they may.
const openErrno: Record<EntryType, number> = {
  file: 0,
  directory: errno.EISDIR,
  symlink: errno.ELOOP,
  // The kernel opens devices and fifos by itself; no content of theirs is in a catalog.
  character: errno.ENXIO,
  block: errno.ENXIO,
  fifo: errno.ENXIO,
  socket: errno.ENXIO,
};

const writing = constants.O_WRONLY | constants.O_RDWR | constants.O_TRUNC;

function open(entry: Entry, flags: number): Outcome<Entry> {
  const refused = openErrno[entry.type];
  if (refused !== 0) return failure(refused);
  if ((flags & writing) !== 0) return failure(errno.EROFS);
  return done(entry);
}

/** What is left for those whom a repository does not admit: the root's attributes, and why. */
function onlyTheRoot(filesystem: Filesystem, tree: Tree): Filesystem {
  const refused = failure(errno.EACCES);
  const isRoot = (node: NodeId) => node === tree.root;
  return {
    ...filesystem,
    lookup: () => refused,
    getattr: (node) => (isRoot(node) ? filesystem.getattr(node) : refused),
    resolve: (path) => (/^\/*$/.test(path) ? filesystem.resolve('') : refused),
    readlink: () => refused,
    readdir: () => refused,
    open: () => refused,
    read: () => refused,
    getxattr: (node, name) => (isRoot(node) ? filesystem.getxattr(node, name) : refused),
    listxattr: (node) => (isRoot(node) ? filesystem.listxattr(node) : refused),
  };
}
