import type { DirectoryPage, Filesystem } from '../filesystem/filesystem.js';
import { errno } from '../format/errno.js';
import { done, failure } from '../store/want.js';
import type { Entry } from '../tree/entry.js';

/** What the tiny filesystem has: one file. */
export const tinyFile = { name: 'hello', text: 'pinfs\n' } as const;

const rootNode = 1;
const fileNode = 2;

/** A directory with one file, for which nothing has to be fetched: to see whether a driver serves at all. */
export function tinyFilesystem(): Filesystem {
  const root = entry(rootNode, '', 'directory', 0o40555, 4096);
  const file = entry(fileNode, tinyFile.name, 'file', 0o100444, tinyFile.text.length);
  const names = ['.', '..', tinyFile.name];
  const all = [root, root, file];
  const of = (node: number) =>
    node === rootNode ? done(root) : node === fileNode ? done(file) : failure(errno.ENOENT);
  const page = (after: number): DirectoryPage => ({
    names: names.slice(after),
    attributes: all.slice(after),
    cookies: names.map((_, index) => index + 1).slice(after),
    end: true,
  });
  const found = (isFile: boolean, isRoot: boolean) =>
    isFile ? done<Entry>(file) : isRoot ? done(root) : failure(errno.ENOENT);
  return {
    root: rootNode,
    lookup: (directory, name) => found(directory === rootNode && name === tinyFile.name, false),
    getattr: of,
    readlink: () => failure(errno.EINVAL),
    readdir: (node, after) => (node === rootNode ? done(page(after)) : failure(errno.ENOTDIR)),
    open: of,
    read(node, offset, length, target, targetOffset) {
      if (node !== fileNode) return failure(errno.EISDIR);
      const bytes = Buffer.from(tinyFile.text).subarray(offset, offset + length);
      return done(bytes.copy(target, targetOffset));
    },
    getxattr: () => failure(errno.ENODATA),
    listxattr: () => done([]),
    statfs: () => ({
      blockSize: 512,
      blocks: 0,
      blocksFree: 0,
      files: 0,
      filesFree: 0,
      nameMax: 255,
    }),
    resolve: (path) => found(path === `/${tinyFile.name}`, path === '' || path === '/'),
  };
}

function entry(node: number, name: string, type: Entry['type'], mode: number, size: number): Entry {
  return {
    node,
    name,
    path: name === '' ? '' : `/${name}`,
    type,
    mode,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    size,
    mtime: 0,
    mtimeNs: 0,
    nlink: type === 'directory' ? 2 : 1,
    rdev: 0,
    ino: BigInt(node),
    linkGroup: 0,
    rawTarget: '',
    target: '',
    xattrs: undefined,
    content: undefined,
    hidden: false,
    nestedMountpoint: false,
    bindMountpoint: false,
    directIo: false,
    broken: undefined,
  };
}
