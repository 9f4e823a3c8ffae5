import { createHash } from 'node:crypto';
import { toBytes, type ByteString } from '../../format/bytes.js';
import type { Entry } from '../../tree/entry.js';
import { list, readRange, valueOf, walk } from '../../repository/use/path.js';
import type { Repository } from '../../repository/repository.js';
import type { Shown } from './oracle.js';

const typeNames: Readonly<Record<Entry['type'], string>> = {
  file: 'file',
  directory: 'dir',
  symlink: 'symlink',
  character: 'char',
  block: 'block',
  fifo: 'fifo',
  socket: 'socket',
};

async function contentHash(repository: Repository, file: Entry): Promise<string> {
  const digest = createHash('sha256');
  for await (const piece of readRange(repository, file)) digest.update(piece);
  return digest.digest('hex');
}

async function storedXattrs(repository: Repository, entry: Entry): Promise<Record<string, string>> {
  const { filesystem } = repository;
  const { node } = entry;
  // On the root the magic ones are listed as well.
  const names =
    node === filesystem.root
      ? [...(entry.xattrs?.keys() ?? [])]
      : await valueOf(repository, entry.path, () => filesystem.listxattr(node));
  const found: Record<string, string> = {};
  for (const name of names) {
    const value = await valueOf(repository, entry.path, () => filesystem.getxattr(node, name));
    found[toBytes(name).toString()] = value.toString('base64');
  }
  return found;
}

async function shownOf(repository: Repository, entry: Entry, prefix: string): Promise<Shown> {
  const { node } = entry;
  const { filesystem } = repository;
  const device = entry.type === 'character' || entry.type === 'block';
  const link = entry.type === 'symlink';
  return {
    path: entry.path.slice(prefix.length) || '/',
    type: typeNames[entry.type],
    mode: (entry.mode & 0o7777).toString(8).padStart(4, '0'),
    uid: entry.uid,
    gid: entry.gid,
    size: entry.size,
    nlink: entry.nlink,
    mtime: entry.mtime,
    mtimeNs: entry.mtimeNs,
    ino: String(entry.ino),
    xattrs: await storedXattrs(repository, entry),
    ...(device ? { rdev: deviceText(entry.rdev) } : {}),
    ...(link
      ? {
          target: await valueOf(repository, entry.path, () => filesystem.readlink(node)),
          rawTarget: entry.rawTarget,
        }
      : {}),
    ...(entry.type === 'file' ? { sha256: await contentHash(repository, entry) } : {}),
  };
}

/** `major:minor` of a device number as glibc packs it. */
function deviceText(rdev: number): string {
  const packed = BigInt(rdev);
  const major = ((packed >> 8n) & 0xfffn) | ((packed >> 32n) & ~0xfffn);
  const minor = (packed & 0xffn) | ((packed >> 12n) & ~0xffn);
  return `${major}:${minor}`;
}

/** Everything below a path, with `.cvmfs`, which is not listed; snapshots that are bound in are not entered. */
async function* everything(repository: Repository, from: ByteString): AsyncGenerator<Shown> {
  const start = await walk(repository, from, false);
  const pending = [start];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield await shownOf(repository, next, from);
    if (next.type !== 'directory' || (next !== start && next.bindMountpoint)) continue;
    for await (const child of list(repository, next)) pending.push(child);
  }
  const hidden = await repository.run(() => repository.filesystem.lookup(start.node, '.cvmfs'));
  if (hidden.kind !== 'done') return;
  yield { ...(await shownOf(repository, hidden.value, from)), unlisted: true };
  for await (const child of list(repository, hidden.value)) {
    for await (const below of everything(repository, child.path)) {
      yield {
        ...below,
        path: child.path.slice(from.length) + below.path.replace(/^\/$/, ''),
      };
    }
  }
}

/** A tree, or what is below a directory as if it were one, through the library. */
export async function shownTree(repository: Repository, from: ByteString = ''): Promise<Shown[]> {
  const found: Shown[] = [];
  for await (const one of everything(repository, from)) found.push(one);
  return found;
}
