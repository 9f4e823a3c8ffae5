import { counterNames } from '../../format/catalog-row.js';
import Database from 'better-sqlite3';
import { toBytes, type ByteString } from '../../format/bytes.js';
import { catalogSchema, type CatalogCounters } from './catalog-schema.js';

/**
 * The values of one row of the table `catalog` in the order of its columns: the two halves of its path's hash, those
 * of its parent's, hard links, hash, size, mode, mtime, mtimens, flags, name, symlink, uid, gid, xattr.
 */
export type RowValues = readonly [
  bigint,
  bigint,
  bigint,
  bigint,
  bigint,
  Buffer | null,
  bigint,
  bigint,
  bigint,
  bigint | null,
  bigint,
  Buffer,
  Buffer,
  bigint,
  bigint,
  Buffer | null,
];

/** The values of one row of the table `chunks`: path hash, offset, size, hash. */
export type ChunkValues = readonly [bigint, bigint, bigint, bigint, Buffer];

/** A nested catalog, or what a bind mountpoint shows, as the catalog above lists it. */
export interface CatalogLink {
  /** Of the mountpoint. */
  readonly path: ByteString;
  /** Text of its hash. */
  readonly hash: string;
  /** Of the database (bytes). */
  readonly size: number;
}

/** A catalog that is being written, in memory. The same calls in the same order give the same bytes. */
export interface CatalogWriter {
  row(values: RowValues): void;
  chunk(values: ChunkValues): void;
  link(table: 'nested_catalogs' | 'bind_mountpoints', link: CatalogLink): void;
  counters(self: CatalogCounters, below: CatalogCounters): void;
  property(key: string, value: string): void;
  /** What tests damage catalogs with. */
  execute(sql: string): void;
  /** Ends it. @returns the bytes of the database. */
  finish(): Buffer;
  /** Gives it up. */
  discard(): void;
}

export function writeCatalog(): CatalogWriter {
  const db = new Database(':memory:');
  db.exec(`PRAGMA foreign_keys=OFF; ${catalogSchema} BEGIN`);
  // Names and targets are bytes: bound as blobs and turned to text unchanged.
  const row = db.prepare(
    'INSERT INTO catalog VALUES (?,?,?,?,?,?,?,?,?,?,?,CAST(? AS TEXT),CAST(? AS TEXT),?,?,?)',
  );
  const chunk = db.prepare('INSERT INTO chunks VALUES (?,?,?,?,?)');
  const counter = db.prepare('INSERT INTO statistics VALUES (?, ?)');
  const property = db.prepare('INSERT INTO properties VALUES (?, CAST(? AS TEXT))');
  return {
    row: (values) => void row.run(...values),
    chunk: (values) => void chunk.run(...values),
    link(table, { path, hash, size }) {
      db.prepare(`INSERT INTO ${table} VALUES (CAST(? AS TEXT), ?, ?)`).run(
        toBytes(path),
        hash,
        size,
      );
    },
    counters(self, below) {
      for (const name of counterNames) {
        counter.run(`self_${name}`, self[name]);
        counter.run(`subtree_${name}`, below[name]);
      }
    },
    property: (key, value) => void property.run(key, toBytes(value)),
    execute(sql) {
      db.exec(`COMMIT; ${sql}; BEGIN`);
    },
    finish() {
      db.exec('COMMIT');
      const bytes = db.serialize();
      db.close();
      return bytes;
    },
    discard: () => void db.close(),
  };
}
