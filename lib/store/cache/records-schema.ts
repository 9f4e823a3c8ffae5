import type Database from 'better-sqlite3';
import { PinfsError } from '../../format/errors.js';

/**
 * The tables of the records, as the steps that lead to them. `PRAGMA user_version` is how many were taken. A step that
 * was published is never changed: another one follows it.
 */
export const schemaSteps: readonly string[] = [
  `CREATE TABLE IF NOT EXISTS objects(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL, sha256 BLOB NOT NULL, stamp TEXT NOT NULL, used INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS holds(key TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY(key, owner)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS owners(id TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS totals(one INTEGER PRIMARY KEY CHECK(one = 1), bytes INTEGER NOT NULL, strays INTEGER NOT NULL);
  INSERT OR IGNORE INTO totals VALUES (1, 0, 1);`,
  // Small objects lie in segments (segments.ts): which, and where in it; none is a file of its own.
  `CREATE TABLE segments(name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, live INTEGER NOT NULL) WITHOUT ROWID;
  ALTER TABLE objects ADD COLUMN segment TEXT;
  ALTER TABLE objects ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX objects_of_segment ON objects(segment) WHERE segment IS NOT NULL;`,
  // What is kept for good (kept-parts.ts): parts of snapshots, and the keys of their objects.
  `CREATE TABLE parts(id INTEGER PRIMARY KEY, repository TEXT NOT NULL, root TEXT NOT NULL, path TEXT NOT NULL,
    since INTEGER NOT NULL, UNIQUE(repository, root, path));
  CREATE TABLE kept(key TEXT NOT NULL, part INTEGER NOT NULL, PRIMARY KEY(key, part)) WITHOUT ROWID;
  CREATE INDEX kept_of_part ON kept(part);`,
];

/**
 * Takes the steps that a database lacks, all or none. Nothing is written where it lacks none.
 * @param directory what the cache is called
 * @throws PinfsError CACHE_UNUSABLE: it has taken steps that are not known here; errors of SQLite.
 */
export function migrateRecords(
  db: Database.Database,
  directory: string,
  steps: readonly string[] = schemaSteps,
): void {
  const missing = (): readonly string[] => {
    const taken = stepsTaken(db);
    if (taken > steps.length) throw newerRecords(directory, taken);
    return steps.slice(taken);
  };
  if (missing().length === 0) return;
  db.transaction(() => {
    // Asked again: another process may have been quicker.
    for (const step of missing()) db.exec(step);
    db.pragma(`user_version = ${steps.length}`);
  }).immediate();
}

/**
 * Whether a database has taken steps that are not known here. What its rows then mean is not known either: that an
 * object was verified stands in nothing but its row.
 */
export function isNewer(db: Database.Database): boolean {
  return stepsTaken(db) > schemaSteps.length;
}

function stepsTaken(db: Database.Database): number {
  const version = Number(db.pragma('user_version', { simple: true }));
  // Nobody writes such a one: what else is in it is as little to be believed.
  if (version < 0) throw new Damaged(`the version of the records is ${version}`);
  if (version !== 0) return version;
  // Those of 0.1.0 have no number, and are what the first step makes.
  const found = db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'totals'").get();
  return found === undefined ? 0 : 1;
}

/** As SQLite calls what is damaged, for `isDamage`. */
class Damaged extends Error {
  readonly code = 'SQLITE_CORRUPT';
}

function newerRecords(directory: string, version: number): PinfsError {
  const text = `the records of the cache ${directory} were made by a newer pinfs (version ${version})`;
  return new PinfsError('CACHE_UNUSABLE', text, {
    advice: 'Give another directory with --cache DIR.',
  });
}
