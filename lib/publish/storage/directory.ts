import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { errorCode } from '../../format/errno.js';
import { fileFault } from '../../format/file-fault.js';
import { machineFault, PinfsError } from '../../format/errors.js';
import { lockDirectory } from './directory-lock.js';
import { dropTorn, openUnsynced, type Unsynced } from './unsynced.js';
import {
  isObjectPath,
  ownFolder,
  type ListedFile,
  type NewContent,
  type Storage,
  type FoundFile,
  type WriteOnly,
} from './storage.js';
import { syncDirectory } from './sync.js';

interface Directory {
  readonly root: string;
  /** Where files are written before they get their names. */
  readonly temporary: string;
  readonly folders: Set<string>;
  readonly unsynced: Unsynced;
}

/** A repository in a directory of this machine, made by need. @throws PinfsError STORAGE_FAILED */
export async function openDirectoryStorage(root: string): Promise<Storage> {
  const own = join(root, ownFolder);
  const temporary = join(own, 'new');
  const told = <T>(what: string, body: () => Promise<T>): Promise<T> =>
    body().catch((thrown: unknown) => {
      throw failed(root, what, thrown);
    });
  await told('made', () => mkdir(temporary, { recursive: true }));
  const directory: Directory = {
    root,
    temporary,
    folders: new Set(),
    unsynced: openUnsynced(root, own),
  };
  return {
    name: root,
    aside: temporary,
    read: (path, limit) => told(`read (${path})`, () => readWhole(root, path, limit)),
    stream: (path) => told(`read (${path})`, () => openStream(join(root, path))),
    has: (path) => told(`read (${path})`, () => isThere(join(root, path))),
    write: (path, content, only) =>
      told(`written to (${path})`, () => write(directory, path, content, only)),
    list: (prefix) => list(root, prefix),
    remove: (path) => told(`changed (${path})`, () => rm(join(root, path), { force: true })),
    lock: () =>
      told('locked', async () => {
        const release = await lockDirectory(root, own);
        // Nobody else writes: what lies there is of publishers that died.
        await rm(temporary, { recursive: true, force: true });
        await mkdir(temporary, { recursive: true });
        await dropTorn(root, own);
        return release;
      }),
    folder: {
      root,
      begin: () => told('written to', () => directory.unsynced.begin()),
      failed: (path, thrown) => failed(root, `written to (${path})`, thrown),
    },
    close: () => Promise.resolve(),
  };
}

function failed(root: string, what: string, thrown: unknown): PinfsError {
  if (thrown instanceof PinfsError) return thrown;
  const fault = machineFault(thrown);
  if (fault !== undefined) return fault;
  const full = ['ENOSPC', 'EDQUOT'].includes(errorCode(thrown) ?? '');
  return new PinfsError(
    'STORAGE_FAILED',
    `the storage ${root} can't be ${what}: ${fileFault(thrown, 'write').why}`,
    {
      advice: full
        ? 'Free some space on its disk, and do it again: what is published is as it was.'
        : 'Mend its owner and mode, and do it again: what is published is as it was.',
      cause: thrown,
    },
  );
}

/** Gives undefined where nothing is. */
async function unlessMissing<T>(body: Promise<T>): Promise<T | undefined> {
  return await body.catch((thrown: unknown) => {
    if (['ENOENT', 'ENOTDIR'].includes(errorCode(thrown) ?? '')) return undefined;
    throw thrown;
  });
}

async function isThere(file: string): Promise<boolean> {
  return (await unlessMissing(stat(file)))?.isFile() === true;
}

async function readWhole(
  root: string,
  path: string,
  limit: number,
): Promise<FoundFile | undefined> {
  const handle = await unlessMissing(open(join(root, path), 'r'));
  if (handle === undefined) return undefined;
  try {
    const { size } = await handle.stat();
    if (size > limit) {
      throw new PinfsError('OBJECT_TOO_LARGE', `${path} in ${root} is larger than ${limit} bytes`);
    }
    const bytes = await handle.readFile();
    return { bytes, version: versionOf(bytes) };
  } finally {
    await handle.close();
  }
}

function versionOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function openStream(file: string): Promise<Readable | undefined> {
  const handle = await unlessMissing(open(file, 'r'));
  return handle && createReadStream(file, { fd: handle });
}

async function write(
  directory: Directory,
  path: string,
  content: NewContent,
  only: WriteOnly | undefined,
): Promise<'written' | 'refused'> {
  const { root, unsynced } = directory;
  const target = join(root, path);
  const isObject = isObjectPath(path);
  if (only === 'absent' && (await isThere(target))) return 'refused';
  if (isObject) await unsynced.begin();
  else await unsynced.end();
  const temporary = await writeAside(directory, content, !isObject);
  try {
    const folder = dirname(target);
    if (!directory.folders.has(folder)) await mkdir(folder, { recursive: true });
    directory.folders.add(folder);
    if (typeof only === 'object' && !(await isVersion(directory, path, only.version))) {
      return 'refused';
    }
    // The same object twice has the same bytes: the second may take the place of the first.
    if (only !== 'absent' || isObject) await rename(temporary, target);
    else if (!(await linked(temporary, target))) return 'refused';
    if (!isObject) await syncDirectory(folder);
    return 'written';
  } finally {
    await rm(temporary, { force: true });
  }
}

async function isVersion({ root }: Directory, path: string, version: string): Promise<boolean> {
  const now = await readWhole(root, path, Number.MAX_SAFE_INTEGER);
  return now?.version === version;
}

async function linked(temporary: string, target: string): Promise<boolean> {
  try {
    await link(temporary, target);
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'EEXIST') return false;
    throw thrown;
  }
}

async function writeAside(
  { temporary }: Directory,
  content: NewContent,
  durable: boolean,
): Promise<string> {
  const path = join(temporary, randomUUID());
  if (!Buffer.isBuffer(content)) {
    await rename(content.file, path).catch(async (thrown: unknown) => {
      if (errorCode(thrown) !== 'EXDEV') throw thrown;
      await copyFile(content.file, path);
      await unlink(content.file);
    });
  }
  // A file that was given may be one that its owner can't write to.
  const handle = await open(path, Buffer.isBuffer(content) ? 'wx' : 'r', 0o666);
  try {
    if (Buffer.isBuffer(content)) await handle.writeFile(content);
    if (durable) await handle.sync();
  } catch (thrown) {
    await rm(path, { force: true });
    throw thrown;
  } finally {
    await handle.close();
  }
  return path;
}

async function* list(root: string, prefix: string): AsyncIterable<ListedFile> {
  const at = prefix.lastIndexOf('/');
  yield* walk(root, at < 0 ? '' : prefix.slice(0, at + 1), prefix);
}

async function* walk(root: string, folder: string, prefix: string): AsyncIterable<ListedFile> {
  const entries = (await unlessMissing(readdir(join(root, folder), { withFileTypes: true }))) ?? [];
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const entry of entries) {
    const path = `${folder}${entry.name}`;
    if (path === ownFolder) continue;
    if (entry.isDirectory()) {
      const below = `${path}/`;
      if (below.startsWith(prefix) || prefix.startsWith(below)) yield* walk(root, below, prefix);
    } else if (path.startsWith(prefix)) {
      const status = await unlessMissing(stat(join(root, path)));
      if (status?.isFile() === true) yield { path, size: status.size, modified: status.mtime };
    }
  }
}
