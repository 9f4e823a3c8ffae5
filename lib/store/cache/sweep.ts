import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import { removeEntry } from '../../files/regular.js';
import { keyOfFile, listFolder } from './layout.js';
import type { Place } from './place.js';
import type { Records } from './records.js';
import { removeSegment } from './remove.js';
import { listSegments, segmentFile } from './segments.js';

/**
 * Removes, a folder at a time and while nothing else happens, the objects without record that a
 * process left that died; `done` is called at the end. @returns a function that stops it.
 */
export function sweepLater(place: Place, records: Records, done: () => void): () => void {
  const folders = objectFolders(place.at);
  let stopped = false;
  const step = (): void => {
    if (stopped) return;
    try {
      const folder = folders.pop();
      if (folder === undefined) {
        sweepSegments(place, records);
        done();
        return;
      }
      sweepFolder(place, records, folder);
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

/** The folders of objects. */
export function objectFolders(at: string): string[] {
  return listFolder(join(at, 'objects'));
}

/** Removes what has no record of a folder of objects, or all of what is no such folder. @returns the number of files. */
export function sweepFolder(place: Place, records: Records, folder: string): number {
  const path = join(place.at, 'objects', folder);
  // A link would lead out of the cache: it goes, and not what it leads to.
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) {
    return removeEntry(path) ? 1 : 0;
  }
  const suspects = listFolder(path).filter((name) =>
    records.read((sql) => sql.get.get(keyOfFile(folder, name)) === undefined),
  );
  if (suspects.length === 0) return 0;
  // Under the lock nobody is between renaming and recording.
  return records.write((sql) => {
    const strays = suspects.filter((name) => sql.get.get(keyOfFile(folder, name)) === undefined);
    for (const name of strays) removeEntry(join(place.at, 'objects', folder, name));
    return strays.length;
  });
}

/**
 * Removes segments that nothing is recorded of, and records of segments that are gone. @returns the number of files.
 */
export function sweepSegments(place: Place, records: Records): number {
  return records.write((sql) => {
    const known = new Set(sql.segments.all());
    const found = listSegments(place.at);
    const strays = found.filter((name) => !known.has(name));
    for (const name of strays) removeEntry(segmentFile(place.at, name));
    for (const name of found) known.delete(name);
    for (const name of known) {
      sql.forgetSegment.run(name);
      removeSegment(sql, place.at, name, sql.segment.get(name)?.bytes ?? 0);
    }
    return strays.length;
  });
}
