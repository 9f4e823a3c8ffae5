import type { Columns, Lookup } from './guarded-sqlite.js';
import { packedChunk, packedRow, rowsAtOnce } from './packed-rows.js';

/* What catalogs are asked, as SQL. Each query is bounded, whatever is in the file. */

export const propertyBytesMax = 8192;
/** Of a row that lists a catalog; longer values are as good as none. */
export const nestedPathBytesMax = 8192;
export const nestedHashBytesMax = 64;
export const byPathHash = 'md5path_1=? AND md5path_2=?';

/** All that opening has to know in one query: preparing one costs more than running it. */
export const identitySql = `SELECT (SELECT iif(octet_length(value)<=64,CAST(value AS TEXT),'') FROM properties WHERE key='schema' LIMIT 1),
  (SELECT iif(octet_length(value)<=${propertyBytesMax},CAST(value AS BLOB),NULL) FROM properties WHERE key='root_prefix' LIMIT 1),
  (SELECT rowid FROM catalog WHERE md5path_1=? AND md5path_2=? LIMIT 1),
  (SELECT iif(typeof(mode)='integer',mode,0) FROM catalog WHERE md5path_1=? AND md5path_2=? LIMIT 1)`;
export const countersMax = 256;
export const counterBytesMax = 64;

/** The queries that look for something; the counters are read from the first one on. */
export function lookups(columns: Columns): Lookup[] {
  return [false, true].flatMap((careful) => {
    const { property, children, byPath, byId, all, chunks, nested } = sqlFor(columns, careful);
    const some: readonly (readonly [string, string])[] = [
      [property, 'key=?'],
      [children, 'parent_1=? AND parent_2=? AND rowid>? AND rowid<?'],
      [byPath, byPathHash],
      [byId, 'rowid=?'],
      [all, 'rowid>? AND rowid<?'],
      [chunks, byPathHash],
      [nested.byPath.nested, 'path=?'],
      [nested.byPath.bind, 'path=?'],
      [nested.after.nested, 'rowid>?'],
      [nested.after.bind, 'rowid>?'],
    ];
    return some.filter(([sql]) => sql !== '').map(([sql, by]) => ({ sql, by: [by] }));
  });
}

export type NestedWhere = 'byPath' | 'after';

export interface CatalogSql {
  /** The most rows that `children` and `all` may be asked for at once. */
  readonly rowsAtOnce: number;
  readonly property: string;
  readonly children: string;
  readonly byPath: string;
  readonly byId: string;
  readonly all: string;
  /** Empty, like those below, where the schema has no such table. */
  readonly chunks: string;
  readonly nested: Readonly<Record<NestedWhere, Readonly<Record<'nested' | 'bind', string>>>>;
  readonly counters: string;
}

// Texts of queries by schema: files with the same schema have the same object `columns`.
const sqlByColumns = [
  new WeakMap<Columns, CatalogSql>(),
  new WeakMap<Columns, CatalogSql>(),
] as const;
const rowidRange = 'rowid>? AND rowid<=4294967295';

/** What `joinedInOrder` gives instead of rows that are in disorder; no row looks like it. */
export const outOfOrder = 'x';

/**
 * A page of rows joined into one value: those before the one that a subquery finds behind them. It takes
 * half the time of joining the rows of a subquery with a LIMIT. In a damaged index too the search comes, after
 * as many steps as the page has rows, to what the subquery found, and ends there: hence the row behind the
 * page is the bound, not the last one in it, and both have to go through the same index (`checkPlans`).
 */
function joinedInOrder(row: string, where: string): string {
  const search = where === '' ? rowidRange : `${where} AND ${rowidRange}`;
  const behind = `SELECT rowid FROM catalog WHERE ${search} ORDER BY rowid LIMIT 1 OFFSET ?`;
  const before = search.replace('<=4294967295', '<ifnull(row_behind,4294967296)');
  return `SELECT CAST(iif(row_behind IS NULL OR count(catalog.rowid)=?,
      group_concat(iif(catalog.rowid IS NULL,NULL,${row}),''),'${outOfOrder}') AS BLOB)
    FROM (SELECT (${behind}) AS row_behind) LEFT JOIN catalog ON ${before}`;
}

/** The texts of all queries; `careful` as for `packedRow`. */
export function sqlFor(columns: Columns, careful: boolean): CatalogSql {
  const made = sqlByColumns[careful ? 1 : 0];
  const known = made.get(columns);
  if (known !== undefined) return known;
  const names = columns.get('catalog') ?? new Set<string>();
  const row = packedRow(names, careful);
  const locatedRow = packedRow(names, careful, true);
  const joined = (from: string): string =>
    `SELECT CAST(group_concat(r,'') AS BLOB) FROM (${from} LIMIT ?)`;
  const path = 'md5path_1=? AND md5path_2=?';
  const located = `SELECT CAST(${locatedRow} AS BLOB) FROM catalog WHERE`;
  const nested = (where: string) => ({
    nested: nestedSql(columns, 'nested_catalogs', where),
    bind: nestedSql(columns, 'bind_mountpoints', where),
  });
  const sql: CatalogSql = {
    rowsAtOnce: careful ? rowsAtOnce.careful : rowsAtOnce.quick,
    property: `SELECT iif(octet_length(value)<=${propertyBytesMax},CAST(value AS BLOB),NULL) FROM properties WHERE key=? LIMIT 1`,
    children: joinedInOrder(row, 'parent_1=? AND parent_2=?'),
    byPath: `${located} ${path} LIMIT 1`,
    byId: `${located} rowid=? LIMIT 1`,
    all: joinedInOrder(locatedRow, ''),
    chunks: columns.has('chunks')
      ? joined(`SELECT ${packedChunk(careful)} AS r FROM chunks WHERE ${path} ORDER BY offset`)
      : '',
    nested: { byPath: nested('path=CAST(? AS TEXT)'), after: nested('rowid>?') },
    // As text, since a counter may pass 2^53.
    counters: columns.has('statistics')
      ? `SELECT iif(octet_length(counter)<=${counterBytesMax},CAST(counter AS TEXT),''), CAST(iif(typeof(value)='integer',value,0) AS TEXT)
         FROM statistics LIMIT ${countersMax}`
      : '',
  };
  made.set(columns, sql);
  return sql;
}

function nestedSql(columns: Columns, table: string, where: string): string {
  const names = columns.get(table);
  if (names === undefined) return '';
  const hash = names.has('sha1')
    ? `iif(typeof(sha1)='text' AND octet_length(sha1)<=${nestedHashBytesMax},sha1,NULL)`
    : 'NULL';
  const size = names.has('size') ? `iif(typeof(size)='integer',size,0)` : '0';
  return `SELECT rowid, iif(octet_length(path)<=${nestedPathBytesMax},CAST(path AS BLOB),x''), ${hash}, ${size}
    FROM ${table} WHERE ${where} ORDER BY rowid LIMIT ?`;
}
