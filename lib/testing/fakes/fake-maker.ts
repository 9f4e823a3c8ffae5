import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { FilesystemMaker } from '../../drivers/kernel/worker/filesystem-maker.js';
import type { Filesystem } from '../../filesystem/filesystem.js';
import { hashBytes } from '../../format/hash.js';
import type { Want } from '../../store/want.js';
import type { NodeId } from '../../tree/entry.js';
import { makeFakeTree, type FakeEntry } from './fake-tree.js';
import { fakeFilesystem } from './fake-session.js';

/**
 * A filesystem for a worker under test, whose objects are files of the snapshot descriptor's cache directory:
 * `NAME` in it stands for the object that the names `slow-*` lack until it is there. Looking up `crash` ends
 * the thread. `rootHash` names the tree that is served: `first` or `second`.
 */
const trees: Record<string, FakeEntry> = {
  first: {
    children: {
      hello: { bytes: Buffer.from('hello, first\n') },
      'only-first': { bytes: Buffer.from('1') },
      big: { bytes: Buffer.alloc(300_000, 'b') },
      'slow-name': { bytes: Buffer.from('slow name') },
      'slow-read': { bytes: Buffer.from('slow read') },
      sub: { children: { same: { bytes: Buffer.from('sub first') } } },
    },
  },
  second: {
    children: {
      hello: { bytes: Buffer.from('hello, second and longer\n') },
      'only-second': { bytes: Buffer.from('22') },
      'slow-name': { bytes: Buffer.from('slow name') },
      sub: { children: { same: { bytes: Buffer.from('sub second, longer') } } },
    },
  },
};

/** The object that a slow name lacks. */
export function slowWant(name: string): Want {
  return {
    object: { hash: hashBytes('sha1', Buffer.from(name)), kind: 'catalog' },
    compression: 'zlib',
    size: { kind: 'limit', bytes: 1 },
    path: name,
  };
}

export function openMaker(): FilesystemMaker {
  return {
    beginRun: () => undefined,
    close: () => undefined,
    make(descriptor) {
      const name = descriptor.identity.rootHash;
      const lacks = (file: string) => !existsSync(join(descriptor.cacheDirectory, file));
      if (name === 'throws') throw new Error('a maker that throws');
      if (name === 'missing' && lacks('root')) return { kind: 'miss', want: slowWant('root') };
      const tree = makeFakeTree(trees[name] ?? trees['first'] ?? {});
      const filesystem = fakeFilesystem(tree);
      return {
        kind: 'done',
        value: {
          filesystem: slowed(filesystem, lacks),
          close: () => undefined,
          backing: (node) => backing(filesystem, node, descriptor.cacheDirectory),
        },
      };
    },
  };
}

function slowed(filesystem: Filesystem, lacks: (file: string) => boolean): Filesystem {
  return {
    ...filesystem,
    lookup(directory, name) {
      if (name === 'crash') process.exit(3);
      if (name.startsWith('slow-name') && lacks(name))
        return { kind: 'miss', want: slowWant(name) };
      return filesystem.lookup(directory, name);
    },
    read(node, offset, length, target, targetOffset) {
      const entry = filesystem.getattr(node);
      const name = entry.kind === 'done' ? entry.value.name : '';
      if (name.startsWith('slow-read') && lacks(name))
        return { kind: 'miss', want: slowWant(name) };
      return filesystem.read(node, offset, length, target, targetOffset);
    },
  };
}

/** A file of the cache directory with the name of the node, if there is one; it stays open. */
function backing(filesystem: Filesystem, node: NodeId, directory: string): number | undefined {
  const found = filesystem.getattr(node);
  if (found.kind !== 'done') return undefined;
  const path = join(directory, `backing-${found.value.name}`);
  return existsSync(path) ? openSync(path, 'r') : undefined;
}
