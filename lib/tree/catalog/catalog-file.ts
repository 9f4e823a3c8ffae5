import type Database from 'better-sqlite3';
import { fromBytes, type ByteString } from '../../format/bytes.js';
import { pathKey } from '../../format/path-hash.js';
import {
  identitySql,
  outOfOrder,
  sqlFor,
  type CatalogSql,
  type NestedWhere,
} from './catalog-sql.js';
import { catalogRules, holdPlans, readSchema, type CatalogSchema } from './catalog-schema.js';
import { disorder } from './damage.js';
import {
  openGuarded,
  isStatementFault,
  sqliteFault,
  type Columns,
  type GuardRules,
} from './guarded-sqlite.js';

/** A nested catalog or bind mountpoint as the catalog above lists it. */
export interface NestedRow {
  readonly rowid: number;
  readonly path: Buffer;
  /** Text of the hash; undefined for what is no text. */
  readonly hash: string | undefined;
  /** Plain size; 0: not known. */
  readonly size: number;
}

/** Packed rows in the order of their ids. */
export interface RowsPage {
  readonly packed: Buffer | null;
  /** As many rows as it has unless nothing comes behind it: no more than were asked for. */
  readonly full: number;
}

/** An open catalog: guarded, with every query bounded. Its methods throw PinfsError where the file is damaged. */
export interface CatalogFile {
  readonly schema: CatalogSchema;
  /** Property `root_prefix`: where it was made to be mounted; empty for a root catalog. */
  readonly prefix: ByteString;
  /** Its root entry, as far as it matters for opening. */
  readonly rootRow: { readonly rowid: number; readonly mode: number } | undefined;
  /** A property, as bytes. */
  property(key: string): ByteString | undefined;
  /** Packed rows of the directory with this path hash, in the order of row ids. */
  children(digest: Buffer, afterRowid: number, limit: number): RowsPage;
  /** Packed row of a path, with the words of its parent's hash before it. */
  rowByPath(digest: Buffer): Buffer | null;
  rowById(rowid: number): Buffer | null;
  /** Packed rows of the whole catalog, each with its parent's hash before it. */
  allRows(afterRowid: number, limit: number): RowsPage;
  /** `[offset,size]hash\n` of each chunk of a file, by offset. */
  chunkRows(digest: Buffer, limit: number): Buffer | null;
  nestedRow(path: Buffer, bind: boolean): NestedRow | undefined;
  nestedRows(bind: boolean, afterRowid: number, limit: number): readonly NestedRow[];
  /** Counters by their full name. */
  counters(): ReadonlyMap<string, bigint>;
  close(): void;
}

/**
 * Opens the database of a catalog.
 * @param source its path, or all of it.
 * @param subject what it is, for messages.
 * @param root hash of the path that its root entry should have.
 * @throws PinfsError CATALOG_NOT_SQLITE, CATALOG_SCHEMA, CATALOG_UNSUPPORTED; an error of the file system as it is.
 */
export function openCatalogFile(
  source: string | Buffer,
  subject: string,
  root: Buffer,
): CatalogFile {
  const rules: GuardRules = { ...catalogRules, subject };
  const { database, columns } = openGuarded(source, rules);
  try {
    const identity = readIdentity(database, root);
    const schema = readSchema(identity.schema, columns, rules);
    holdPlans(database, columns, rules);
    return catalogFile(database, columns, { schema, ...identity.place }, rules);
  } catch (error) {
    database.close();
    throw sqliteFault(error, rules);
  }
}

function readIdentity(database: Database.Database, root: Buffer) {
  const key = pathKey(root);
  const [schema, prefix, rowid, mode] = database
    .prepare(identitySql)
    .raw()
    .get(...key, ...key) as [string | null, Buffer | null, number | null, number | null];
  const rootRow = rowid === null ? undefined : { rowid, mode: mode ?? 0 };
  return {
    schema: schema ?? '1.0',
    place: { prefix: prefix === null ? '' : fromBytes(prefix), rootRow },
  };
}

/** Runs queries, each prepared on its first use; what SQLite throws names the file. */
interface Queries {
  /** The value of a query with one column and one row. */
  one(sql: string, ...values: Bound[]): Buffer | null;
  rows(sql: string, ...values: Bound[]): unknown[][];
}

type Bound = bigint | number | string | Buffer;

function createQueries(database: Database.Database, rules: GuardRules): Queries {
  const prepared = new Map<string, Database.Statement>();
  const prepare = (sql: string): Database.Statement => {
    const kept = prepared.get(sql);
    if (kept !== undefined) return kept;
    const statement = database.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
  const guard = <T>(ask: () => T): T => {
    try {
      return ask();
    } catch (error) {
      throw sqliteFault(error, rules);
    }
  };
  return {
    one: (sql, ...values) =>
      guard(
        () =>
          (prepare(sql)
            .pluck()
            .get(...values) as Buffer | null | undefined) ?? null,
      ),
    rows: (sql, ...values) =>
      guard(
        () =>
          prepare(sql)
            .raw()
            .all(...values) as unknown[][],
      ),
  };
}

function catalogFile(
  database: Database.Database,
  columns: Columns,
  identity: Pick<CatalogFile, 'schema' | 'prefix' | 'rootRow'>,
  rules: GuardRules,
): CatalogFile {
  const queries = createQueries(database, rules);
  let sql = sqlFor(columns, false);
  /** Runs a query; a catalog with a row that is not as usual is asked in the careful way from then on. */
  const ask = <T>(query: (texts: CatalogSql) => T): T => {
    try {
      return query(sql);
    } catch (error) {
      const careful = sqlFor(columns, true);
      if (sql === careful || !isStatementFault(error)) throw error;
      sql = careful;
      return query(sql);
    }
  };
  /** A page of rows, of which fewer are read at once where they may be heavy. */
  const page = (by: 'children' | 'all', limit: number, from: readonly Bound[]): RowsPage =>
    ask((it) => {
      const full = Math.min(limit, it.rowsAtOnce);
      const packed = queries.one(it[by], full, ...from, full, ...from);
      if (packed?.length === outOfOrder.length) throw disorder(identity.prefix);
      return { packed, full };
    });
  const nestedRows = (where: NestedWhere, bind: boolean, value: Bound, limit: number) =>
    sql.nested[where][bind ? 'bind' : 'nested'] === ''
      ? []
      : queries.rows(sql.nested[where][bind ? 'bind' : 'nested'], value, limit).map(nestedRowOf);
  return {
    ...identity,
    property: (key) => {
      const value = queries.one(sql.property, key);
      return value === null ? undefined : fromBytes(value);
    },
    children: (digest, after, limit) => page('children', limit, [...pathKey(digest), after]),
    rowByPath: (digest) => ask((it) => queries.one(it.byPath, ...pathKey(digest))),
    rowById: (rowid) => ask((it) => queries.one(it.byId, rowid)),
    allRows: (after, limit) => page('all', limit, [after]),
    chunkRows: (digest, limit) =>
      sql.chunks === '' ? null : ask((it) => queries.one(it.chunks, ...pathKey(digest), limit)),
    nestedRow: (path, bind) => nestedRows('byPath', bind, path, 1)[0],
    nestedRows: (bind, after, limit) => nestedRows('after', bind, after, limit),
    counters: () =>
      sql.counters === '' ? new Map() : new Map(queries.rows(sql.counters).map(counterOf)),
    close: () => database.close(),
  };
}

function nestedRowOf(row: readonly unknown[]): NestedRow {
  const [rowid, path, hash, size] = row;
  return {
    rowid: Number(rowid),
    path: Buffer.isBuffer(path) ? path : Buffer.alloc(0),
    hash: typeof hash === 'string' ? hash : undefined,
    size: typeof size === 'number' && size > 0 ? size : 0,
  };
}

function counterOf([name, value]: readonly unknown[]): [string, bigint] {
  return [String(name), BigInt(String(value))];
}
