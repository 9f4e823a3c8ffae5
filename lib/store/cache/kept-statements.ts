import type Database from 'better-sqlite3';

/** A part of a snapshot that is kept, and what is here of it. */
export interface PartRecord {
  readonly repository: string;
  readonly root: string;
  readonly path: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly objects: number;
  /** Plain. */
  readonly bytes: number;
  /** Objects that are not here, since they were damaged or removed. */
  readonly lacking: number;
}

export interface KeptStatements {
  /** Whether something is held by somebody, or kept for good. */
  readonly held: Database.Statement<[string]>;
  readonly part: Database.Statement<[string, string, string], { id: number }>;
  readonly parts: Database.Statement<[], PartRecord>;
  readonly addPart: Database.Statement;
  readonly removePart: Database.Statement;
  readonly keep: Database.Statement;
  readonly unkeep: Database.Statement;
  readonly keptBytes: Database.Statement<[], { objects: number; bytes: number }>;
}

/** The statements for what is kept. @throws errors of SQLite. */
export function prepareKept(db: Database.Database): KeptStatements {
  return {
    held: db.prepare<[string]>(
      'WITH it(key) AS (VALUES (?)) SELECT 1 FROM it ' +
        'WHERE key IN (SELECT key FROM holds) OR key IN (SELECT key FROM kept)',
    ),
    part: db.prepare<[string, string, string], { id: number }>(
      'SELECT id FROM parts WHERE repository = ? AND root = ? AND path = ?',
    ),
    parts: db.prepare<[], PartRecord>(
      'SELECT repository, root, path, since, count(objects.key) AS objects, coalesce(sum(size), 0) AS bytes, ' +
        'count(kept.key) - count(objects.key) AS lacking FROM parts LEFT JOIN kept ON part = parts.id ' +
        'LEFT JOIN objects ON objects.key = kept.key GROUP BY parts.id ORDER BY parts.id',
    ),
    addPart: db.prepare('INSERT INTO parts(repository, root, path, since) VALUES (?, ?, ?, ?)'),
    removePart: db.prepare('DELETE FROM parts WHERE id = ?'),
    keep: db.prepare('INSERT OR IGNORE INTO kept(key, part) VALUES (?, ?)'),
    unkeep: db.prepare('DELETE FROM kept WHERE part = ?'),
    keptBytes: db.prepare<[], { objects: number; bytes: number }>(
      'SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM objects WHERE key IN (SELECT key FROM kept)',
    ),
  };
}
