import Database from 'better-sqlite3';
import { fromText, printable, quoted } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { faultBehind } from '../../machine/descriptors.js';
import { checkPages, schemaEntriesMax, type PageRules } from './database-pages.js';

/**
 * SQLite files made by strangers (SECURITY.md). What could make a query run for ever, write, or
 * allocate without bound is refused by looking at the header and the schema before the first query,
 * because nothing can stop a query once it runs.
 */
export interface GuardRules extends PageRules {
  /** The tables that may stand in it, and whether each has to. */
  readonly tables: Readonly<Record<string, 'required' | 'optional'>>;
  /** Columns that an index has to begin with, by table: a query by them is never a scan. */
  readonly indexed: Readonly<Record<string, readonly (readonly string[])[]>>;
  /** Queries that are made first of all, to be looked at by `checkPlans`. */
  readonly queries: readonly Lookup[];
}

/** A query, and how SQLite has to find what it looks for, as EXPLAIN QUERY PLAN says it: `key=?`. */
export interface Lookup {
  readonly sql: string;
  readonly by: readonly string[];
}

export interface Guarded {
  readonly database: Database.Database;
  /** Columns by table. The same object for files with the same schema. */
  readonly columns: Columns;
}

export type Columns = ReadonlyMap<string, ReadonlySet<string>>;

export const schemaTextBytesMax = 8192;
// Schemas that were looked at and found good; a repository has very few, an attacker could make many.
const knownSchemas = new Map<string, SchemaLayout>();
const knownSchemasMax = 64;
const rowidNames = ['rowid', 'oid', '_rowid_'];

/**
 * Opens a database file read-only, after all checks.
 * @param file its path, or all of it.
 * @throws PinfsError with the codes of the rules; an error of the file system as it is.
 */
export function openGuarded(file: string | Buffer, rules: GuardRules): Guarded {
  checkPages(file, rules);
  let database: Database.Database | undefined;
  let hasSchema = false;
  try {
    database =
      typeof file === 'string'
        ? new Database(file, { readonly: true, fileMustExist: true, timeout: 0 })
        : new Database(file);
    // Nobody ever writes to the file, so its lock may be kept: a query then costs a tenth (measured 0.3 for 6 µs).
    database.exec(
      'PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA query_only=ON; ' +
        'PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-256',
    );
    // The first statement of all makes SQLite read the schema.
    database.prepare('SELECT 1 FROM sqlite_master LIMIT 0');
    hasSchema = true;
    return { database, columns: checkSchema(database, rules) };
  } catch (error) {
    database?.close();
    throw sqliteFault(error, rules, hasSchema);
  }
}

// What this machine, not the file, is to blame for.
// READONLY is a journal that lies beside the file: SQLite won't read without playing it back.
const machineFaults = /^SQLITE_(BUSY|CANTOPEN|IOERR|LOCKED|NOMEM|PERM|PROTOCOL|READONLY)/;

/**
 * What SQLite threw, as an error that names the file; errors that are ours already stay.
 * @param hasSchema SQLite had read the schema by then: before, what is corrupt is the schema.
 */
export function sqliteFault(
  thrown: unknown,
  rules: Pick<GuardRules, 'subject' | 'notSqlite' | 'badSchema'>,
  hasSchema = true,
): unknown {
  const fault = thrown instanceof PinfsError ? undefined : faultBehind(thrown);
  if (fault !== undefined) return fault;
  if (!(thrown instanceof Database.SqliteError)) return thrown;
  const message = printable(fromText(thrown.message));
  const damaged = (hasSchema ? /^SQLITE_(NOTADB|CORRUPT)/ : /^SQLITE_NOTADB/).test(thrown.code);
  const code = machineFaults.test(thrown.code)
    ? 'CACHE_UNUSABLE'
    : damaged
      ? rules.notSqlite
      : rules.badSchema;
  return new PinfsError(code, `the ${rules.subject} can't be read: ${message}`, { cause: thrown });
}

/** Whether an error came from a statement that threw of itself, as `json('x')` does, not from the file. */
export function isStatementFault(error: unknown): boolean {
  if (!(error instanceof PinfsError)) return false;
  const { cause } = error;
  return cause instanceof Database.SqliteError && cause.code === 'SQLITE_ERROR';
}

function checkSchema(database: Database.Database, rules: GuardRules): Columns {
  const text = database
    .prepare(
      `SELECT json_group_array(json_array(type,name,tbl_name,rootpage>0,substr(sql,1,${schemaTextBytesMax + 1})))
       FROM (SELECT * FROM sqlite_master LIMIT ${schemaEntriesMax + 1})`,
    )
    .pluck()
    .get() as string;
  const entries = JSON.parse(text) as SchemaEntry[];
  const kind = kindOf(entries, rules);
  const known = knownSchemas.get(kind);
  if (known !== undefined) return known.columns;
  checkEntries(entries, rules);
  const columns = new Map<string, ReadonlySet<string>>();
  checkTableList(database, rules);
  for (const [table, need] of Object.entries(rules.tables)) {
    const names = columnsOf(database, table, rules);
    if (names.size > 0) columns.set(table, names);
    else if (need === 'required') refuseSchema(rules, `has no table ${table}`);
  }
  for (const table of columns.keys()) checkIndexes(database, table, rules);
  checkPlans(database, rules.queries, rules);
  if (knownSchemas.size >= knownSchemasMax) knownSchemas.clear();
  const layout = { columns, tables: new Map<string, TableLayout>() };
  for (const table of columns.keys()) layout.tables.set(table, tableLayout(database, table));
  knownSchemas.set(kind, layout);
  return columns;
}

/** Which tables are wanted differs between catalogs and histories. */
function kindOf(entries: readonly SchemaEntry[], rules: GuardRules): string {
  return Object.keys(rules.tables).join() + JSON.stringify(entries);
}

/** How the rows of a table are stored. */
export interface TableLayout {
  readonly columns: readonly string[];
  /** Columns of each index, by its name; behind them stands the row id. */
  readonly indexes: ReadonlyMap<string, readonly string[]>;
  /** What is stored is not always what is there: in place of the row id, of a number, or of what is lacking. */
  readonly isPlain: boolean;
}

export interface SchemaLayout {
  readonly columns: Columns;
  readonly tables: ReadonlyMap<string, TableLayout>;
}

/** The layout of a schema with these rows, if one was found good before. */
export function knownLayout(
  rules: GuardRules,
  entries: readonly SchemaEntry[],
): SchemaLayout | undefined {
  return knownSchemas.get(kindOf(entries, rules));
}

function tableLayout(database: Database.Database, table: string): TableLayout {
  const columns = database.pragma(`table_xinfo(${table})`) as {
    name: string;
    type: string;
    pk: number;
    dflt_value: unknown;
  }[];
  // An INTEGER PRIMARY KEY is the row id, and stored as NULL; REAL makes numbers of integers.
  const isOdd = ({ type, pk, dflt_value }: (typeof columns)[number]): boolean =>
    (pk > 0 && /^INTEGER$/i.test(type)) || /REAL|FLOA|DOUB/i.test(type) || dflt_value !== null;
  const keyParts = columns.filter(({ pk }) => pk > 0).length;
  const isOddColumn = columns.some((column) => isOdd(keyParts > 1 ? { ...column, pk: 0 } : column));
  const indexes = new Map<string, readonly string[]>();
  let isDescending = false;
  for (const { name } of database.pragma(`index_list(${table})`) as { name: string }[]) {
    const parts = database.pragma(`index_xinfo("${name.replaceAll('"', '""')}")`) as {
      name: string | null;
      desc: number;
      key: number;
    }[];
    const keys = parts.filter(({ key }) => key === 1);
    if (keys.some(({ desc }) => desc !== 0)) isDescending = true;
    indexes.set(
      name,
      keys.map((part) => part.name ?? ''),
    );
  }
  const names = columns.map(({ name }) => name);
  return { columns: names, indexes, isPlain: !isOddColumn && !isDescending };
}

function refuseSchema(rules: GuardRules, what: string): never {
  throw new PinfsError(rules.badSchema, `the ${rules.subject} ${what}`);
}

/** A row of sqlite_master: type, name, table, whether pages belong to it, SQL. */
export type SchemaEntry = readonly unknown[];

/** The text of the schema decides what SQLite makes of it, whatever the columns beside it say. */
function checkEntries(entries: readonly SchemaEntry[], rules: GuardRules): void {
  if (entries.length > schemaEntriesMax) refuseSchema(rules, 'has too many tables and indexes');
  for (const entry of entries) {
    const [type, name, table, stored, sql] = entry.map((value) => value ?? '');
    if (typeof type !== 'string' || typeof name !== 'string' || typeof table !== 'string')
      refuseSchema(rules, 'has a schema that is no schema');
    if (typeof sql !== 'string') refuseSchema(rules, 'has a schema that is no schema');
    if (sql.length > schemaTextBytesMax) refuseSchema(rules, 'has a definition that is too long');
    const allowed = Object.hasOwn(rules.tables, table) && stored === 1;
    const isTable = type === 'table' && name === table && /^CREATE TABLE\s/i.test(sql);
    const isIndex =
      type === 'index' &&
      (sql === '' ? name.startsWith('sqlite_autoindex_') : /^CREATE( UNIQUE)? INDEX\s/i.test(sql));
    if (!allowed || !(isTable || isIndex))
      refuseSchema(rules, `holds something that does not belong there: ${type} ${quoted(name)}`);
  }
}

function checkTableList(database: Database.Database, rules: GuardRules): void {
  const tables = database.pragma('table_list') as {
    schema: string;
    name: string;
    type: string;
    wr: number;
  }[];
  for (const table of tables) {
    if (table.schema === 'temp' || table.name === 'sqlite_schema') continue;
    if (!Object.hasOwn(rules.tables, table.name) || table.type !== 'table' || table.wr !== 0)
      refuseSchema(
        rules,
        `holds something that does not belong there: ${table.type} ${quoted(table.name)}`,
      );
  }
}

function columnsOf(database: Database.Database, table: string, rules: GuardRules): Set<string> {
  const columns = database.pragma(`table_xinfo(${table})`) as { name: string; hidden: number }[];
  const names = new Set<string>();
  for (const { name, hidden } of columns) {
    if (hidden !== 0) refuseSchema(rules, `has a computed column in table ${table}`);
    if (rowidNames.includes(name.toLowerCase()))
      refuseSchema(rules, `has a column ${quoted(name)} in table ${table}`);
    names.add(name);
  }
  return names;
}

function checkIndexes(database: Database.Database, table: string, rules: GuardRules): void {
  const indexes = database.pragma(`index_list(${table})`) as { name: string; partial: number }[];
  const begins: string[][] = [];
  for (const { name, partial } of indexes) {
    const columns = database.pragma(`index_xinfo("${name.replaceAll('"', '""')}")`) as {
      cid: number;
      name: string | null;
      coll: string;
      key: number;
    }[];
    // cid -2 is an expression; -1 is the row id that ends every index.
    if (partial !== 0 || columns.some((column) => column.cid < -1 || column.coll !== 'BINARY'))
      refuseSchema(rules, `has an index that computes: ${quoted(name)}`);
    begins.push(columns.filter((column) => column.key === 1).map((column) => column.name ?? ''));
  }
  for (const wanted of rules.indexed[table] ?? []) {
    if (!begins.some((begin) => wanted.every((column, i) => begin[i] === column)))
      refuseSchema(rules, `has no index on (${wanted.join(', ')}) of table ${table}`);
  }
}

// Steps of a plan that look at no table. All others have to be a search by what is asked for: else
// how many rows are looked at, and whether they ever end, is up to who made the file.
const harmless = /^(CO-ROUTINE |SCAN \(subquery-\d+\)$|SCAN CONSTANT ROW$|SCALAR SUBQUERY )/;
// What a plan says besides of a search.
const leftJoin = / LEFT-JOIN$/;
const covering = /^(SEARCH \w+ USING )COVERING /;

/**
 * Holds that these queries find what they look for by an index, in order, without sorting: so that their
 * LIMIT bounds the work; and that a query which looks for the same twice goes through the same index, so that the
 * bound found in one search holds in the other. Once for each schema will do.
 * @throws PinfsError with the code of the rules for a bad schema; SqliteError.
 */
export function checkPlans(
  database: Database.Database,
  lookups: readonly Lookup[],
  rules: GuardRules,
): void {
  for (const { sql, by } of lookups) {
    const parameters = (sql.match(/\?/g) ?? []).map(() => 1);
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters);
    const details = (plan as { detail: string }[]).map(({ detail }) =>
      detail.replace(leftJoin, ''),
    );
    const isSearch = (detail: string): boolean =>
      detail.startsWith('SEARCH ') && by.some((constraint) => detail.endsWith(`(${constraint})`));
    const wrong = details.find((detail) => !harmless.test(detail) && !isSearch(detail));
    if (wrong !== undefined)
      refuseSchema(rules, `can't be asked without looking at all of it: ${quoted(wrong)}`);
    const searches = details.filter(isSearch).map((detail) => detail.replace(covering, '$1'));
    const [one] = searches;
    if (by.length === 1 && searches.some((search) => search !== one))
      refuseSchema(rules, 'has two indexes where one is needed');
  }
}
