/**
 * Copies a directory of a snapshot out: `node dist/examples/export.js SOURCE[@PIN] KEY PATH DIR`.
 * Files, directories and links, with their times and permissions; devices and the like are told and left out.
 */
import { createWriteStream } from 'node:fs';
import { chmod, mkdir, symlink, utimes } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { open, PinfsError, type FileEntry, type Snapshot } from 'pinfs';

// A path here is bytes as it is there: a name that is not UTF-8 stays what it is.
const below = (directory: Buffer, name: Buffer): Buffer =>
  Buffer.concat([directory, Buffer.from('/'), name]);

async function copy(snapshot: Snapshot, entry: FileEntry, target: Buffer): Promise<number> {
  switch (entry.type) {
    case 'directory': {
      await mkdir(target);
      let count = 1;
      for (const child of await snapshot.list(entry.path)) {
        count += await copy(snapshot, child, below(target, child.name));
      }
      // Last, since files in it change its time, and it may not be writable.
      await adorn(entry, target);
      return count;
    }
    case 'file':
      await pipeline(snapshot.stream(entry.path), createWriteStream(target, { flags: 'wx' }));
      await adorn(entry, target);
      return 1;
    case 'symlink':
      await symlink(entry.target ?? '', target);
      return 1;
    case 'block':
    case 'character':
    case 'fifo':
    case 'socket':
      console.error(`not copied: ${entry.path.toString()} (${entry.type})`);
      return 0;
  }
}

async function adorn({ mode, mtime }: FileEntry, target: Buffer): Promise<void> {
  // Not setuid and the like: they would count for another owner than the publisher meant.
  await chmod(target, mode & 0o777);
  await utimes(target, mtime, mtime);
}

async function exportTree(
  source: string,
  key: string,
  path: string,
  directory: string,
): Promise<void> {
  const snapshot = await open({ source, keys: [key] });
  try {
    const count = await copy(snapshot, await snapshot.stat(path), Buffer.from(directory));
    console.log(`${count} entries of ${snapshot.repository}@${snapshot.rootHash}`);
  } finally {
    await snapshot.close();
  }
}

const [source, key, path, directory] = process.argv.slice(2);
if (source === undefined || key === undefined || path === undefined || directory === undefined) {
  console.error('usage: export.js SOURCE[@PIN] KEY PATH DIR');
  process.exitCode = 2;
} else {
  await exportTree(source, key, path, directory).catch((thrown: unknown) => {
    if (!(thrown instanceof PinfsError)) throw thrown;
    console.error(`${thrown.code}: ${thrown.message}`);
    process.exitCode = thrown.exit;
  });
}
