import { accessSync, closeSync, constants, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { holdToRead, type HeldDirectory } from '../../files/held.js';
import { openTrusted, removeEntry } from '../../files/regular.js';
import { checkLayout, objectFile } from './layout.js';
import { readFully } from './read-fully.js';
import type { ObjectRecord } from './statements.js';
import { isNewer } from './records-schema.js';
import { isSegmentName, segmentFile } from './segments.js';
import type { ObjectKey } from '../key.js';

/** A cache that can only be read, of ours or root's: its objects count after a check against its records. */
export interface Lower extends LowerReader {
  /** Why nothing is put into it. */
  readonly reason: PinfsError;
}

export interface LowerReader {
  /**
   * Copies an object to a new file; beside the first one a copy of the records is made.
   * @returns undefined if it isn't there, or not right.
   */
  copy(key: ObjectKey, target: string): { size: number; sha256: Buffer } | undefined;
  /** Whether there is a record of an object. @param beside as the target of `copy`; it is not made. */
  has(key: ObjectKey, beside: string): boolean;
  close(): void;
}

const recordsBytesMax = 512 * 1024 * 1024;
const objectBytesMax = 2 ** 31 - 2 ** 16;

type Known = Pick<ObjectRecord, 'size' | 'sha256' | 'segment' | 'place'>;

/**
 * Opens a cache for reading that we can't write to; undefined if it is no such one.
 * @throws UnsafeDirectory; errors of the file system.
 */
export function openLower(directory: string): Lower | undefined {
  const held = isWritable(directory) ? undefined : holdCache(directory);
  if (held === undefined) return undefined;
  return {
    ...readerOf(held),
    reason: new PinfsError('CACHE_UNUSABLE', `the cache ${directory} can only be read`, {
      advice: 'What is new is not kept; for that give a directory of your own with --cache DIR.',
    }),
  };
}

/**
 * Opens a cache of ours or root's for reading, whoever may write to it; undefined if it is no such one.
 * @throws UnsafeDirectory; errors of the file system.
 */
export function openLowerReader(directory: string): LowerReader | undefined {
  const held = holdCache(directory);
  return held && readerOf(held);
}

function readerOf(held: HeldDirectory): LowerReader {
  const { at } = held;
  let records: LowerRecords | undefined;
  const recordsBeside = (path: string): LowerRecords => (records ??= openCopy(at, `${path}.lower`));
  return {
    has: (key, beside) => recordsBeside(beside).get(key) !== undefined,
    copy(key, target) {
      const record = recordsBeside(target).get(key);
      if (record === undefined || record.size > objectBytesMax) return undefined;
      const file = openTrusted(fileOf(at, key, record));
      if (typeof file === 'string') return undefined;
      try {
        const bytes = readAll(file.fd, record.size, record.place);
        const sha256 = createHash('sha256').update(bytes).digest();
        if (!sha256.equals(record.sha256)) return undefined;
        writeFileSync(target, bytes, { flag: 'wx', mode: 0o444 });
        return { size: bytes.length, sha256 };
      } catch (thrown) {
        removeEntry(target);
        throw thrown;
      } finally {
        closeSync(file.fd);
      }
    },
    close() {
      records?.close();
      held.close();
    },
  };
}

/** Or why it isn't is said by whoever tries to make it one. */
function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (thrown) {
    return !['EROFS', 'EACCES', 'EPERM'].includes(errorCode(thrown) ?? '');
  }
}

function holdCache(path: string): HeldDirectory | undefined {
  const held = holdToRead(path);
  try {
    if (checkLayout(held.at, path)) return held;
  } catch {
    // Said by whoever tries to make it one.
  }
  held.close();
  return undefined;
}

interface LowerRecords {
  get(key: string): Known | undefined;
  close(): void;
}

/** SQLite can't read a database where it may not write, so that a copy is made. */
function openCopy(at: string, copy: string): LowerRecords {
  const database = copyDatabase(at, copy);
  const known = database && prepared(database);
  return {
    get: (key) => known?.get(key),
    close() {
      database?.close();
      for (const end of ['', '-wal', '-shm']) removeEntry(copy + end);
    },
  };
}

function prepared(database: Database.Database) {
  try {
    // Of records that are not understood nothing is believed.
    if (isNewer(database)) return undefined;
    const { rows } = database
      .prepare<[], { rows: number }>(
        "SELECT count(*) AS rows FROM pragma_table_info('objects') WHERE name = 'segment'",
      )
      .get() ?? { rows: 0 };
    // Those of before have no segments.
    const where = rows > 0 ? 'segment, place' : 'NULL AS segment, 0 AS place';
    return database.prepare<[string], Known>(
      `SELECT size, sha256, ${where} FROM objects WHERE key = ?`,
    );
  } catch {
    // Damaged.
    return undefined;
  }
}

function copyDatabase(at: string, copy: string): Database.Database | undefined {
  try {
    for (const end of ['', '-wal']) {
      const file = openTrusted(join(at, `index.db${end}`));
      if (typeof file === 'string') continue;
      try {
        if (file.status.size > recordsBytesMax) return undefined;
        const bytes = readAll(file.fd, Number(file.status.size), 0);
        writeFileSync(copy + end, bytes, { flag: 'wx', mode: 0o600 });
      } finally {
        closeSync(file.fd);
      }
    }
    return new Database(copy, { fileMustExist: true });
  } catch {
    // As good as empty.
    return undefined;
  }
}

function readAll(fd: number, size: number, place: number): Buffer {
  const bytes = Buffer.alloc(size);
  return bytes.subarray(0, Math.max(0, readFully(fd, bytes, 0, size, place)));
}

function fileOf(at: string, key: ObjectKey, { segment }: Known): string {
  if (segment === null) return objectFile(at, key);
  return segmentFile(at, isSegmentName(segment) ? segment : 'none');
}
