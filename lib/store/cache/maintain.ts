import { closeSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { RegularFile } from '../../files/regular.js';
import { drop } from './drop.js';
import { DiskFull } from './full.js';
import { sha256OfFile } from './read-fully.js';
import { parseKey } from '../key.js';
import { openObject } from './object-files.js';
import { purgeOwners } from './owners.js';
import { checkLayout, refuseAnothers } from './layout.js';
import { openPlace, type Place } from './place.js';
import { Records } from './records.js';
import type { ObjectRecord, Statements } from './statements.js';
import { removeRecorded } from './remove.js';
import { withReserve } from './reserve.js';
import { readFromSegment } from './segment-reader.js';
import { objectFolders, sweepFolder, sweepSegments } from './sweep.js';

/** What people do with a cache; mounts may use it meanwhile. */
export interface CacheSize {
  readonly objects: number;
  /** Plain bytes of the objects. */
  readonly bytes: number;
  /** What they take on the disk, in whole blocks: this is what the limit counts. */
  readonly onDisk: number;
  /** Those that a mount holds. */
  readonly held: { readonly objects: number; readonly bytes: number };
}

export interface VerifyReport {
  readonly objects: number;
  readonly bytes: number;
  /** Keys of objects whose bytes were not those that had been verified; they are thrown away. */
  readonly damaged: readonly string[];
  /** Records whose object was gone. */
  readonly missing: number;
  /** Objects without a record, removed. */
  readonly strays: number;
}

/** An object that was damaged or gone. */
export interface LostObject {
  readonly key: string;
  /** Plain bytes. */
  readonly bytes: number;
}

const nothing = { objects: 0, bytes: 0 };

/** @throws PinfsError CACHE_UNUSABLE. */
export async function cacheSize(directory: string): Promise<CacheSize> {
  const empty = { ...nothing, onDisk: 0, held: nothing };
  return withRecords(directory, empty, (records, place) =>
    writeAnyway(records, place, (sql) => {
      purgeOwners(place.at, sql, undefined);
      const { objects, bytes } = sql.count.get() ?? nothing;
      const onDisk = sql.totals.get()?.bytes ?? 0;
      return { objects, bytes, onDisk, held: sql.heldBytes.get() ?? nothing };
    }),
  );
}

/**
 * Hashes every object again, throws away what is not what had been verified, and what nobody knows of.
 * @param lost told of each object that is damaged or gone.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export async function verifyAll(
  directory: string,
  progress: (objects: number, bytes: number) => void = () => undefined,
  lost: (object: LostObject) => void = () => undefined,
): Promise<VerifyReport> {
  const report = { objects: 0, bytes: 0, damaged: [] as string[], missing: 0, strays: 0 };
  return withRecords(directory, report, async (records, place) => {
    let last = 0;
    for (;;) {
      const page = records.read((sql) => sql.after.all(last, 256));
      if (page.length === 0) break;
      for (const { id, key, size } of page) {
        last = id;
        const found = verifyOne(place, records, key);
        if (found === 'damaged') report.damaged.push(key);
        if (found === 'missing') report.missing++;
        if (found !== 'right') lost({ key, bytes: size });
        report.objects++;
        report.bytes += size;
        progress(report.objects, report.bytes);
        if (size > 65536) await turn();
      }
      await turn();
    }
    for (const folder of objectFolders(place.at)) {
      report.strays += sweepFolder(place, records, folder);
    }
    report.strays += sweepSegments(place, records);
    writeAnyway(records, place, (sql) => sql.recount.run(0));
    return report;
  });
}

function verifyOne(place: Place, records: Records, key: string): 'right' | 'damaged' | 'missing' {
  const record = records.read((sql) => sql.get.get(key));
  // Evicted meanwhile.
  if (record === undefined) return 'right';
  const found = look(place.at, key, record);
  // Somebody may have mended it meanwhile; what can't be thrown out just now is told all the same.
  if (found === 'right' || drop(place.at, records, key, record) === false) return 'right';
  return found === 'missing' ? 'missing' : 'damaged';
}

function look(at: string, key: string, record: ObjectRecord): 'right' | 'damaged' | 'missing' {
  const { segment } = record;
  if (segment !== null) {
    const bytes = readFromSegment(at, { ...record, segment });
    return typeof bytes === 'string' ? bytes : 'right';
  }
  const parsed = parseKey(key);
  const file = parsed === undefined ? 'other' : openObject(at, parsed);
  if (file === 'missing') return file;
  return file !== 'other' && isRight(file, record) ? 'right' : 'damaged';
}

/** Whether the bytes of a file are those of its record; closes it. */
function isRight({ fd, status }: RegularFile, record: ObjectRecord): boolean {
  try {
    return status.size === BigInt(record.size) && sha256OfFile(fd, status).equals(record.sha256);
  } finally {
    closeSync(fd);
  }
}

/**
 * Removes every object that no mount holds.
 * @returns how many, and their plain bytes.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export async function clearCache(
  directory: string,
): Promise<{ readonly objects: number; readonly bytes: number }> {
  return withRecords(directory, nothing, async (records, place) => {
    const removed = { objects: 0, bytes: 0 };
    for (;;) {
      const gone = writeAnyway(records, place, (sql) => {
        purgeOwners(place.at, sql, undefined);
        const page = sql.oldest.all(-Infinity, -1, 1024);
        for (const object of page) removeRecorded(sql, place.at, object);
        return page;
      });
      if (gone.length === 0) break;
      removed.objects += gone.length;
      removed.bytes += gone.reduce((sum, { size }) => sum + size, 0);
      await turn();
    }
    for (const folder of objectFolders(place.at)) {
      sweepFolder(place, records, folder);
    }
    sweepSegments(place, records);
    return removed;
  });
}

/**
 * One transaction. Where the disk is too full to write it down, it is done again in the room of the log, of what it has
 * removed already, or of the reserve.
 */
export function writeAnyway<T>(records: Records, place: Place, work: (sql: Statements) => T): T {
  try {
    return records.write(work);
  } catch (thrown) {
    if (!(thrown instanceof DiskFull)) throw thrown;
    records.shrink(true);
    return withReserve(place.at, () => records.write(work));
  }
}

/** Works on the records of a cache; `none` where there is no cache. @throws PinfsError CACHE_UNUSABLE. */
export async function withRecords<T>(
  directory: string,
  none: T,
  work: (records: Records, place: Place) => T | Promise<T>,
): Promise<T> {
  refuseAnothers(directory);
  // Nothing is made in a directory that is no cache.
  if (!checkLayout(directory, directory)) return none;
  const place = openPlace(directory, { make: true });
  try {
    const records = withReserve(place.at, () => new Records(place));
    try {
      return await work(records, place);
    } finally {
      records.close();
    }
  } finally {
    place.close();
  }
}
