import { closeSync, constants, fstatSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { removeEntry } from '../../files/regular.js';
import { errorCode } from '../../format/errno.js';
import { readFully } from '../cache/read-fully.js';
import { migrateRecords } from '../cache/records-schema.js';
import { isSegmentName, segmentFile } from '../cache/segments.js';

/**
 * Where small objects lie in a cache of somebody who need not be believed: its records are asked, and what they say
 * counts for nothing but as a place to look at. Whatever is read there has to have the right content hash.
 */
export interface ForeignRecords {
  /** undefined: they name no place. */
  find(key: string): SpotInFile | undefined;
  close(): void;
}

/** Bytes of a file, which may be anything. */
export interface SpotInFile {
  readonly path: string;
  readonly start: number;
  /** undefined: up to its end. */
  readonly size: number | undefined;
}

const recordsBytesMax = 512 * 1024 * 1024;

/**
 * Opens a copy of the records of a cache: they change, and SQLite can't read them where it may not write.
 * @param beside a path in a directory of ours: the copy has this name. @returns undefined where there are none that are understood.
 */
export function openForeignRecords(directory: string, beside: string): ForeignRecords | undefined {
  const remove = (): void => {
    for (const end of ['', '-wal', '-shm', '-journal']) removeEntry(beside + end);
  };
  let db: Database.Database | undefined;
  try {
    const ends = ['', '-wal'];
    if (!ends.every((end) => copyBounded(join(directory, `index.db${end}`), beside + end))) {
      remove();
      return undefined;
    }
    const opened = (db = new Database(beside, { fileMustExist: true, timeout: 0 }));
    opened.exec('PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0');
    if (tableOf(opened) !== tableOf(ours())) throw new Error('it is none of this version');
    // The length first: a name of many megabytes isn't read.
    const places = opened.prepare<[string], Record<'segment' | 'place' | 'size', unknown>>(
      'SELECT segment, place, size FROM objects WHERE key = ? AND octet_length(segment) = 16',
    );
    return {
      find: (key) => placeIn(directory, places, key),
      close() {
        opened.close();
        remove();
      },
    };
  } catch {
    // Damaged, or of another version.
    db?.close();
    remove();
    return undefined;
  }
}

type Places = Database.Statement<[string], Record<'segment' | 'place' | 'size', unknown>>;

function placeIn(directory: string, places: Places, key: string): SpotInFile | undefined {
  try {
    const { segment, place: start, size } = places.get(key) ?? {};
    const isPlace = typeof segment === 'string' && isSegmentName(segment);
    if (!isPlace || !isCount(start) || !isCount(size)) return undefined;
    return { path: segmentFile(directory, segment), start, size };
  } catch {
    return undefined;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** All that the schema says of the table that is asked: no view, trigger or index of a stranger's plays a part in it. */
function tableOf(db: Database.Database): string {
  const rows = db
    .prepare<[], { about: string }>(
      "SELECT type || ' ' || name || ' ' || coalesce(sql, '') AS about FROM sqlite_master " +
        "WHERE lower(tbl_name) = 'objects' OR type NOT IN ('table', 'index') ORDER BY name LIMIT 8",
    )
    .all();
  return rows.map(({ about }) => about).join('\n');
}

let own: Database.Database | undefined;

function ours(): Database.Database {
  if (own === undefined) {
    own = new Database(':memory:');
    migrateRecords(own, '');
  }
  return own;
}

/** @returns false where there is something that can't be copied. Without a log there need be none. */
function copyBounded(path: string, target: string): boolean {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  } catch (thrown) {
    return errorCode(thrown) === 'ENOENT' && path.endsWith('-wal');
  }
  try {
    const status = fstatSync(fd);
    if (!status.isFile() || status.size > recordsBytesMax) return false;
    const bytes = Buffer.alloc(status.size);
    const count = Math.max(0, readFully(fd, bytes, 0, bytes.length, 0));
    writeFileSync(target, bytes.subarray(0, count), { flag: 'wx', mode: 0o600 });
    return true;
  } finally {
    closeSync(fd);
  }
}
