import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { listFolder, sweepFolder } from './sweep.js';
import { drop, sha256OfFile, unlinkIfThere } from './disk-shelf.js';
import { errorCode, isCache, objectFile, prepareDirectory } from './layout.js';
import { purgeOwners } from './owners.js';
import { charge, Records } from './records.js';

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

const nothing = { objects: 0, bytes: 0 };

/** @throws PinfsError CACHE_UNUSABLE. */
export async function cacheSize(directory: string): Promise<CacheSize> {
  const empty = { ...nothing, onDisk: 0, held: nothing };
  return withRecords(directory, empty, (records) =>
    records.write((sql) => {
      purgeOwners(directory, sql, undefined);
      const { objects, bytes } = sql.count.get() ?? nothing;
      const onDisk = sql.totals.get()?.bytes ?? 0;
      return { objects, bytes, onDisk, held: sql.heldBytes.get() ?? nothing };
    }),
  );
}

/**
 * Hashes every object again, throws away what is not what had been verified, and what nobody knows of.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export async function verifyAll(
  directory: string,
  progress: (objects: number, bytes: number) => void = () => undefined,
): Promise<VerifyReport> {
  const report = { objects: 0, bytes: 0, damaged: [] as string[], missing: 0, strays: 0 };
  return withRecords(directory, report, async (records) => {
    let last = 0;
    for (;;) {
      const page = records.read((sql) => sql.after.all(last, 256));
      if (page.length === 0) break;
      for (const { id, key, size } of page) {
        last = id;
        const found = verifyOne(directory, records, key);
        if (found === 'damaged') report.damaged.push(key);
        if (found === 'missing') report.missing++;
        report.objects++;
        report.bytes += size;
        progress(report.objects, report.bytes);
        if (size > 65536) await turn();
      }
      await turn();
    }
    for (const folder of listFolder(join(directory, 'objects'))) {
      report.strays += sweepFolder(directory, records, folder);
    }
    records.write((sql) => sql.recount.run(0));
    return report;
  });
}

function verifyOne(
  directory: string,
  records: Records,
  key: string,
): 'right' | 'damaged' | 'missing' {
  const record = records.read((sql) => sql.get.get(key));
  // Evicted meanwhile.
  if (record === undefined) return 'right';
  let fd: number;
  try {
    fd = openSync(objectFile(directory, key), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (thrown) {
    const gone = ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errorCode(thrown) ?? '');
    if (!gone) throw thrown;
    return drop(directory, records, key, record) === true ? 'missing' : 'right';
  }
  try {
    const status = fstatSync(fd, { bigint: true });
    const right =
      status.size === BigInt(record.size) && sha256OfFile(fd, status).equals(record.sha256);
    if (right) return 'right';
    return drop(directory, records, key, record) === true ? 'damaged' : 'right';
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
  return withRecords(directory, nothing, async (records) => {
    const removed = { objects: 0, bytes: 0 };
    for (;;) {
      const count = records.write((sql) => {
        purgeOwners(directory, sql, undefined);
        const page = sql.oldest.all(1024);
        for (const { id, key, size } of page) {
          sql.remove.run(id);
          sql.grow.run(-charge(size));
          unlinkIfThere(objectFile(directory, key));
          removed.objects++;
          removed.bytes += size;
        }
        return page.length;
      });
      if (count === 0) break;
      await turn();
    }
    for (const folder of listFolder(join(directory, 'objects'))) {
      sweepFolder(directory, records, folder);
    }
    return removed;
  });
}

async function withRecords<T>(
  directory: string,
  none: T,
  work: (records: Records) => T | Promise<T>,
): Promise<T> {
  // Nothing is made in a directory that is no cache.
  if (!isCache(directory)) return none;
  prepareDirectory(directory);
  const records = new Records(directory);
  try {
    return await work(records);
  } finally {
    records.close();
  }
}
