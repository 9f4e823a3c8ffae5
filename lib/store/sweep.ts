import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { unlinkIfThere } from './disk-shelf.js';
import { errorCode, keyOfFile } from './layout.js';
import type { Records } from './records.js';

/**
 * Removes, a folder at a time and while nothing else happens, the objects without record that a
 * process left that died; `done` is called at the end. @returns a function that stops it.
 */
export function sweepLater(directory: string, records: Records, done: () => void): () => void {
  const folders = listFolder(join(directory, 'objects'));
  let stopped = false;
  const step = (): void => {
    if (stopped) return;
    try {
      const folder = folders.pop();
      if (folder === undefined) {
        done();
        return;
      }
      sweepFolder(directory, records, folder);
      setImmediate(step).unref();
    } catch {
      // It stays to be done: the mark is in the records.
    }
  };
  setImmediate(step).unref();
  return () => {
    stopped = true;
  };
}

/** Removes the objects of a folder that have no record. @returns their number. */
export function sweepFolder(directory: string, records: Records, folder: string): number {
  const suspects = listFolder(join(directory, 'objects', folder)).filter((name) =>
    records.read((sql) => sql.get.get(keyOfFile(folder, name)) === undefined),
  );
  if (suspects.length === 0) return 0;
  // Under the lock nobody is between renaming and recording.
  return records.write((sql) => {
    const strays = suspects.filter((name) => sql.get.get(keyOfFile(folder, name)) === undefined);
    for (const name of strays) unlinkIfThere(join(directory, 'objects', folder, name));
    return strays.length;
  });
}

export function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return [];
    throw thrown;
  }
}
