import { inflateSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { hashBytes, objectPath, parseHash, type ObjectKind } from '../format/hash.js';

/** The files of a repository, by path. */
export type Files = (path: string) => Buffer | undefined;
export type Row = Record<string, unknown>;

/** Opens a database that is stored as an object, its hash having been checked. */
export function openStoredDatabase(
  files: Files,
  kind: ObjectKind,
  text: string,
): Database.Database {
  const hash = parseHash(text);
  const stored = hash && files(objectPath({ hash, kind }));
  if (hash === undefined || stored === undefined) throw new Error(`there is no ${kind} ${text}`);
  if (hashBytes(hash.algorithm, stored).text !== text) throw new Error(`${text} is damaged`);
  return new Database(inflateSync(stored));
}

export function rows(db: Database.Database, sql: string, ...values: unknown[]): Row[] {
  return db
    .prepare(sql)
    .safeIntegers()
    .all(...values) as Row[];
}
