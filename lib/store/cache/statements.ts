import type Database from 'better-sqlite3';
import { prepareKept, type KeptStatements } from './kept-statements.js';
import type { Ranked } from '../../eviction/victims.js';
import { gapBytesMin } from '../../eviction/amounts.js';
import { isCatalogKey, leastRecentlyUsed } from '../../eviction/policy.js';

export interface ObjectRecord {
  readonly id: number;
  readonly size: number;
  readonly sha256: Buffer;
  readonly stamp: string;
  readonly used: number;
  /** Among which others it lies, and where; null: it has a file of its own. */
  readonly segment: string | null;
  readonly place: number;
}

/** Key, id, size, SHA-256, time of use, segment, and place in it. */
export type SmallRow = [string, number, number, Buffer, number, string, number];

/** A segment: what it takes on the disk, and how much of that objects are (bytes). */
export interface SegmentRecord {
  readonly bytes: number;
  readonly live: number;
}

let lastTick = 0;

/** The time of a use: microseconds of the clock, but strictly rising within a process. */
export function tick(): number {
  lastTick = Math.max(lastTick + 1, Date.now() * 1000);
  return lastTick;
}

// The only one so far.
const policy = leastRecentlyUsed;

// What is held or kept stays.
const removable = 'key NOT IN (SELECT key FROM holds) AND key NOT IN (SELECT key FROM kept)';

/** The time of a use as it is written for a new object. */
export function firstUse(key: string, isVolatile: boolean): number {
  return policy.firstUse(isCatalogKey(key), tick(), isVolatile);
}

/** The statements of the records over a database that has their schema. @throws errors of SQLite. */
export function prepareStatements(db: Database.Database): Statements {
  return {
    get: db.prepare<[string], ObjectRecord>(
      'SELECT id, size, sha256, stamp, used, segment, place FROM objects WHERE key = ?',
    ),
    recorded: db
      .prepare<[string], string>(
        'SELECT key FROM objects WHERE key IN (SELECT value FROM json_each(?))',
      )
      .pluck(),
    // By a range: with another limit each time SQLite would compile it each time.
    smallOnes: db
      .prepare<[number, number], SmallRow>(
        'SELECT key, id, size, sha256, used, segment, place FROM objects ' +
          'WHERE id > ? AND id <= ? AND segment IS NOT NULL',
      )
      .raw(),
    insert: db.prepare(
      'INSERT INTO objects(key, size, sha256, stamp, used, segment, place) VALUES (?, ?, ?, ?, ?, ?, ?) ' +
        'ON CONFLICT(key) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, stamp = excluded.stamp, ' +
        'used = excluded.used, segment = excluded.segment, place = excluded.place',
    ),
    remove: db.prepare('DELETE FROM objects WHERE id = ?'),
    restamp: db.prepare('UPDATE objects SET stamp = ? WHERE id = ? AND sha256 = ?'),
    touch: db.prepare(`UPDATE objects SET used = ${policy.sql.nextUse} WHERE id = ?`),
    grow: db.prepare('UPDATE totals SET bytes = bytes + ?'),
    totals: db.prepare<[], { bytes: number; strays: number }>('SELECT bytes, strays FROM totals'),
    count: db.prepare<[], { objects: number; bytes: number }>(
      'SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM objects',
    ),
    recount: db.prepare(
      'UPDATE totals SET strays = ?, bytes = ' +
        '(SELECT coalesce(sum(max(4096, (size + 4095) / 4096 * 4096)), 0) FROM objects WHERE segment IS NULL) + ' +
        '(SELECT coalesce(sum(bytes), 0) FROM segments)',
    ),
    oldest: db.prepare<[number, number, number], Candidate>(
      `SELECT * FROM (SELECT id, key, size, used, segment, ${policy.sql.rank} AS rank FROM objects WHERE ${removable}) ` +
        'WHERE (rank, id) > (?, ?) ORDER BY rank, id LIMIT ?',
    ),
    removable: db
      .prepare<[], number>(
        'SELECT coalesce(sum(iif(segment IS NULL, max(4096, (size + 4095) / 4096 * 4096), size)), 0) FROM objects ' +
          `WHERE ${removable}`,
      )
      .pluck(),
    after: db.prepare<[number, number], { id: number; key: string; size: number }>(
      'SELECT id, key, size FROM objects WHERE id > ? ORDER BY id LIMIT ?',
    ),
    ...prepareSegmentStatements(db),
    ...prepareKept(db),
    hold: db.prepare('INSERT OR IGNORE INTO holds(key, owner) VALUES (?, ?)'),
    release: db.prepare('DELETE FROM holds WHERE key = ? AND owner = ?'),
    // What is held is in use all the time, however long ago it was opened.
    touchHeld: db.prepare(
      `UPDATE objects SET used = ${policy.sql.nextUse} ` +
        'WHERE key IN (SELECT key FROM holds WHERE owner = ?)',
    ),
    releaseAll: db.prepare('DELETE FROM holds WHERE owner = ?'),
    owners: db.prepare<[], { id: string }>('SELECT id FROM owners'),
    addOwner: db.prepare('INSERT OR IGNORE INTO owners(id) VALUES (?)'),
    removeOwner: db.prepare('DELETE FROM owners WHERE id = ?'),
    heldBytes: db.prepare<[], { objects: number; bytes: number }>(
      'SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM objects WHERE key IN (SELECT key FROM holds)',
    ),
  };
}

function prepareSegmentStatements(db: Database.Database) {
  return {
    segment: db.prepare<[string], SegmentRecord>('SELECT bytes, live FROM segments WHERE name = ?'),
    segments: db.prepare<[], string>('SELECT name FROM segments').pluck(),
    gappySegments: db
      .prepare<[], string>(
        `SELECT name FROM segments WHERE bytes - live >= max(${gapBytesMin}, bytes / 2) ORDER BY live`,
      )
      .pluck(),
    segmentGrown: db.prepare(
      'INSERT INTO segments(name, bytes, live) VALUES (?, ?, ?) ' +
        'ON CONFLICT(name) DO UPDATE SET bytes = excluded.bytes, live = live + excluded.live',
    ),
    segmentLost: db.prepare('UPDATE segments SET live = live - ? WHERE name = ?'),
    removeSegment: db.prepare('DELETE FROM segments WHERE name = ?'),
    ofSegment: db.prepare<[string], { id: number; size: number; place: number }>(
      'SELECT id, size, place FROM objects WHERE segment = ? ORDER BY place',
    ),
    inSegment: db.prepare<[string]>('SELECT 1 FROM objects WHERE segment = ? LIMIT 1'),
    forgetSegment: db.prepare('DELETE FROM objects WHERE segment = ?'),
    move: db.prepare('UPDATE objects SET segment = ?, place = ? WHERE id = ?'),
  };
}

export interface Candidate extends Ranked {
  readonly key: string;
  readonly size: number;
  readonly segment: string | null;
}

export interface Statements extends KeptStatements {
  readonly get: Database.Statement<[string], ObjectRecord>;
  /** Those of many keys (a JSON array) that there is a record of: a third of the time that one statement for each takes. */
  readonly recorded: Database.Statement<[string], string>;
  /** What lies in segments, behind an id, up to another. */
  readonly smallOnes: Database.Statement<[number, number], SmallRow>;
  readonly insert: Database.Statement;
  readonly remove: Database.Statement;
  readonly restamp: Database.Statement;
  readonly touch: Database.Statement;
  readonly grow: Database.Statement;
  readonly totals: Database.Statement<[], { bytes: number; strays: number }>;
  readonly count: Database.Statement<[], { objects: number; bytes: number }>;
  readonly recount: Database.Statement;
  /** What may go, behind a rank and id, the first to go first. */
  readonly oldest: Database.Statement<[number, number, number], Candidate>;
  /** Bytes on the disk of what may go. */
  readonly removable: Database.Statement<[], number>;
  readonly after: Database.Statement<[number, number], { id: number; key: string; size: number }>;
  readonly segment: Database.Statement<[string], SegmentRecord>;
  /** The names of all. */
  readonly segments: Database.Statement<[], string>;
  /** The names of those that are mostly gaps, the emptiest first. */
  readonly gappySegments: Database.Statement<[], string>;
  /** Name, bytes that it takes now, bytes of objects that came to it. */
  readonly segmentGrown: Database.Statement;
  readonly segmentLost: Database.Statement;
  readonly removeSegment: Database.Statement;
  readonly ofSegment: Database.Statement<[string], { id: number; size: number; place: number }>;
  readonly inSegment: Database.Statement<[string]>;
  readonly forgetSegment: Database.Statement;
  readonly move: Database.Statement;
  readonly hold: Database.Statement;
  readonly release: Database.Statement;
  readonly touchHeld: Database.Statement;
  readonly releaseAll: Database.Statement;
  readonly owners: Database.Statement<[], { id: string }>;
  readonly addOwner: Database.Statement;
  readonly removeOwner: Database.Statement;
  readonly heldBytes: Database.Statement<[], { objects: number; bytes: number }>;
}
