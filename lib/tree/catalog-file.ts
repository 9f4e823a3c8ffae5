import type Database from 'better-sqlite3';
import { fromBytes, type ByteString } from '../format/bytes.js';
import { pathKey } from '../format/path-hash.js';
import { PinfsError } from '../format/errors.js';
import { openGuarded, sqliteFault, type Columns, type GuardRules } from './guarded-sqlite.js';
import { packedParent, packedRow } from './packed-rows.js';

/** Which of the schemas of the format document (5.2) a catalog has. */
export interface CatalogSchema {
  readonly text: string;
  /** Schema 0.9 or 1.x: no owners, links, chunks, statistics. */
  readonly legacy: boolean;
  /** Nested catalogs are listed without their hashes (0.9): they can't be followed. */
  readonly nestedWithoutHash: boolean;
}

/** A nested catalog or bind mountpoint as the catalog above lists it. */
export interface NestedRow {
  readonly rowid: number;
  readonly path: Buffer;
  /** Text of the hash; undefined for what is no text. */
  readonly hash: string | undefined;
  /** Plain size; 0: not known. */
  readonly size: number;
}

/** An open catalog: guarded, with every query bounded. Its methods throw PinfsError where the file is damaged. */
export interface CatalogFile {
  readonly schema: CatalogSchema;
  /** A property, as bytes. */
  property(key: string): ByteString | undefined;
  /** Packed rows of the directory with this path hash, in the order of row ids. */
  children(digest: Buffer, afterRowid: number, limit: number): Buffer | null;
  /** Packed row of a path, with the words of its parent's hash before it. */
  rowByPath(digest: Buffer): Buffer | null;
  rowById(rowid: number): Buffer | null;
  /** Packed rows of the whole catalog, each with its parent's hash before it. */
  allRows(afterRowid: number, limit: number): Buffer | null;
  /** `offset,size,hash\n` of each chunk of a file, by offset. */
  chunkRows(digest: Buffer, limit: number): Buffer | null;
  nestedRow(path: Buffer, bind: boolean): NestedRow | undefined;
  nestedRows(bind: boolean, afterRowid: number, limit: number): readonly NestedRow[];
  /** Counters by their full name. */
  counters(): ReadonlyMap<string, bigint>;
  close(): void;
}

const catalogRules: Omit<GuardRules, 'subject'> = {
  notSqlite: 'CATALOG_NOT_SQLITE',
  badSchema: 'CATALOG_SCHEMA',
  tables: {
    catalog: 'required',
    properties: 'required',
    nested_catalogs: 'required',
    chunks: 'optional',
    statistics: 'optional',
    bind_mountpoints: 'optional',
  },
  indexed: {
    catalog: [
      ['md5path_1', 'md5path_2'],
      ['parent_1', 'parent_2'],
    ],
    chunks: [['md5path_1', 'md5path_2']],
    nested_catalogs: [['path']],
    bind_mountpoints: [['path']],
    properties: [['key']],
  },
};

const propertyLimit = 8192;
const always = [
  'md5path_1',
  'md5path_2',
  'parent_1',
  'parent_2',
  'hash',
  'size',
  'mode',
  'mtime',
  'flags',
  'name',
  'symlink',
];
const modern = ['hardlinks', 'uid', 'gid'];

/**
 * Opens the database of a catalog.
 * @param subject what it is, for messages.
 * @throws PinfsError CATALOG_NOT_SQLITE, CATALOG_SCHEMA, CATALOG_UNSUPPORTED; an error of the file system as it is.
 */
export function openCatalogFile(path: string, subject: string): CatalogFile {
  const rules: GuardRules = { ...catalogRules, subject };
  const { database, columns } = openGuarded(path, rules);
  try {
    const schema = readSchema(database, columns, rules);
    requireColumns(columns, schema, rules);
    return catalogFile(database, columns, schema, rules);
  } catch (error) {
    database.close();
    throw sqliteFault(error, rules);
  }
}

function propertyOf(database: Database.Database, key: string): ByteString | undefined {
  const value = database
    .prepare(
      `SELECT iif(octet_length(value)<=${propertyLimit},CAST(value AS BLOB),NULL) FROM properties WHERE key=? LIMIT 1`,
    )
    .pluck()
    .get(key);
  return value instanceof Buffer ? fromBytes(value) : undefined;
}

function readSchema(
  database: Database.Database,
  columns: Columns,
  rules: GuardRules,
): CatalogSchema {
  const text = propertyOf(database, 'schema') ?? '1.0';
  const version = /^\d{1,3}(\.\d{1,12})?$/.test(text) ? Number(text) : NaN;
  const near = (wanted: number): boolean => Math.abs(version - wanted) < 0.0005;
  const legacy = version >= 0.8995 && version < 1.9995;
  if (!legacy && !near(2.4) && !near(2.5)) {
    throw new PinfsError(
      'CATALOG_UNSUPPORTED',
      `the ${rules.subject} has the schema ${JSON.stringify(text)}, which pinfs does not know`,
      {
        advice:
          'Schemas 0.9 to 1.x, 2.4 and 2.5 are known; the others were never released or are newer.',
      },
    );
  }
  return { text, legacy, nestedWithoutHash: columns.get('nested_catalogs')?.has('sha1') !== true };
}

function requireColumns(columns: Columns, schema: CatalogSchema, rules: GuardRules): void {
  const wanted: [string, readonly string[]][] = [
    ['catalog', schema.legacy ? always : [...always, ...modern]],
    ['nested_catalogs', schema.legacy ? ['path'] : ['path', 'sha1']],
    ['properties', ['key', 'value']],
  ];
  if (!schema.legacy) wanted.push(['chunks', ['md5path_1', 'md5path_2', 'offset', 'size', 'hash']]);
  if (columns.has('bind_mountpoints')) wanted.push(['bind_mountpoints', ['path', 'sha1']]);
  if (columns.has('statistics')) wanted.push(['statistics', ['counter', 'value']]);
  for (const [table, names] of wanted) {
    const missing = names.find((name) => columns.get(table)?.has(name) !== true);
    if (missing !== undefined) {
      throw new PinfsError(
        'CATALOG_SCHEMA',
        `the ${rules.subject} lacks the column ${missing} of table ${table}`,
      );
    }
  }
}

function catalogFile(
  database: Database.Database,
  columns: Columns,
  schema: CatalogSchema,
  rules: GuardRules,
): CatalogFile {
  const row = packedRow(columns.get('catalog') ?? new Set());
  const all = (from: string): string => `SELECT CAST(group_concat(r,'') AS BLOB) FROM (${from})`;
  const byPath = 'WHERE md5path_1=? AND md5path_2=?';
  const statements = new Map<string, Database.Statement>();
  /** Runs a query with one column and one row; each is prepared on its first use. */
  const one = (sql: string, ...values: (bigint | number)[]): Buffer | null => {
    try {
      let statement = statements.get(sql);
      if (statement === undefined) statements.set(sql, (statement = database.prepare(sql).pluck()));
      return (statement.get(...values) as Buffer | null | undefined) ?? null;
    } catch (error) {
      throw sqliteFault(error, rules);
    }
  };
  const childrenSql = all(
    `SELECT ${row} AS r FROM catalog WHERE parent_1=? AND parent_2=? AND rowid>? AND rowid<=4294967295 ORDER BY rowid LIMIT ?`,
  );
  const located = `SELECT CAST(${packedParent}||${row} AS BLOB) FROM catalog`;
  const byPathSql = `${located} ${byPath} LIMIT 1`;
  const byIdSql = `${located} WHERE rowid=? LIMIT 1`;
  const allSql = all(
    `SELECT ${packedParent}||${row} AS r FROM catalog WHERE rowid>? AND rowid<=4294967295 ORDER BY rowid LIMIT ?`,
  );
  const chunksSql = all(
    `SELECT iif(typeof(offset)='integer',offset,'x')||','||iif(typeof(size)='integer',size,'x')||','||
       iif(octet_length(hash)<=32,hex(hash),'x')||char(10) AS r FROM chunks ${byPath} ORDER BY offset LIMIT ?`,
  );
  return {
    schema,
    property: (key) => propertyOf(database, key),
    children: (digest, after, limit) => one(childrenSql, ...pathKey(digest), after, limit),
    rowByPath: (digest) => one(byPathSql, ...pathKey(digest)),
    rowById: (rowid) => one(byIdSql, rowid),
    allRows: (after, limit) => one(allSql, after, limit),
    chunkRows: (digest, limit) =>
      columns.has('chunks') ? one(chunksSql, ...pathKey(digest), limit) : null,
    nestedRow: (path, bind) =>
      nestedQuery(database, columns, rules, bind, 'path=CAST(? AS TEXT)', path, 1)[0],
    nestedRows: (bind, after, limit) =>
      nestedQuery(database, columns, rules, bind, 'rowid>?', after, limit),
    counters: () => readCounters(database, columns, rules),
    close: () => database.close(),
  };
}

function nestedQuery(
  database: Database.Database,
  columns: Columns,
  rules: GuardRules,
  bind: boolean,
  where: string,
  value: Buffer | number,
  limit: number,
): NestedRow[] {
  const table = bind ? 'bind_mountpoints' : 'nested_catalogs';
  const names = columns.get(table);
  if (names === undefined) return [];
  const hash = names.has('sha1')
    ? `iif(typeof(sha1)='text' AND octet_length(sha1)<=64,sha1,NULL)`
    : 'NULL';
  const size = names.has('size') ? `iif(typeof(size)='integer',size,0)` : '0';
  try {
    const rows = database
      .prepare(
        `SELECT rowid, iif(octet_length(path)<=8192,CAST(path AS BLOB),x''), ${hash}, ${size}
         FROM ${table} WHERE ${where} ORDER BY rowid LIMIT ?`,
      )
      .raw()
      .all(value, limit) as [number, Buffer | null, string | null, number][];
    return rows.map(([rowid, path, text, bytes]) => ({
      rowid,
      path: path ?? Buffer.alloc(0),
      hash: text ?? undefined,
      size: bytes > 0 ? bytes : 0,
    }));
  } catch (error) {
    throw sqliteFault(error, rules);
  }
}

const countersLimit = 256;

function readCounters(
  database: Database.Database,
  columns: Columns,
  rules: GuardRules,
): ReadonlyMap<string, bigint> {
  if (!columns.has('statistics')) return new Map();
  try {
    const rows = database
      .prepare(
        `SELECT iif(octet_length(counter)<=64,CAST(counter AS TEXT),''), iif(typeof(value)='integer',value,0)
         FROM statistics LIMIT ${countersLimit}`,
      )
      .safeIntegers()
      .raw()
      .all() as [string | null, bigint][];
    return new Map(rows.map(([name, value]) => [name ?? '', value] as const));
  } catch (error) {
    throw sqliteFault(error, rules);
  }
}
