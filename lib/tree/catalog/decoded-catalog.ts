import { fromBytes, toBytes, type ByteString } from '../../format/bytes.js';
import { pathKey } from '../../format/path-hash.js';
import { PinfsError } from '../../format/errors.js';
import type { CatalogFile, NestedRow, RowsPage } from './catalog-file.js';
import { catalogRules, readSchema } from './catalog-schema.js';
import {
  counterBytesMax,
  countersMax,
  nestedHashBytesMax,
  nestedPathBytesMax,
  propertyBytesMax,
} from './catalog-sql.js';
import { checkHeader, headerBytes } from './database-pages.js';
import { databaseOf, UnusualDatabase, type RecordReader } from './database-rows.js';
import { schemaOf, columnText } from './decoded-schema.js';
import { openTable, type Table } from './database-tables.js';
import { hexOf, rowPacker } from './pack-row.js';
import { hashBytesMax, isRowid, rowsAtOnce } from './packed-rows.js';
import { firstAfter } from './row-ids.js';

/**
 * A catalog that is in memory as a whole, with no SQLite: opening one takes a third of the time or less, and no descriptor. It
 * gives what SQLite would give, and only where all is as it usually is: the schema is one that was checked before, each
 * row has the types that the quick queries ask for (packed-rows.ts), and each index has one entry for each row, in order.
 * Everything else is left to SQLite, behind its guard.
 */

/** The largest that is read as a whole; of a larger one SQLite reads the parts that are needed (bytes). */
export const decodedBytesMax = 512 * 1024;

/**
 * @param bytes the whole file, which nobody changes as long as the catalog is used.
 * @param root hash of the path that its root entry should have.
 * @returns undefined: it is for SQLite. Its methods throw UnusualDatabase where that shows later.
 */
export function decodeCatalog(
  bytes: Buffer,
  subject: string,
  root: Buffer,
): CatalogFile | undefined {
  try {
    return decode(bytes, subject, root);
  } catch (thrown) {
    // SQLite says what is wrong with it; or finds that nothing is.
    if (thrown instanceof UnusualDatabase || thrown instanceof PinfsError) return undefined;
    throw thrown;
  }
}

function decode(bytes: Buffer, subject: string, root: Buffer): CatalogFile | undefined {
  const rules = { ...catalogRules, subject };
  const pageSize = checkHeader(bytes.subarray(0, headerBytes), bytes.length, rules);
  const database = databaseOf(bytes, pageSize);
  const schema = schemaOf(database, rules);
  if (schema === undefined) return undefined;
  const { layout, roots } = schema;
  const open = (name: string, checkOf?: Parameters<typeof openTable>[4]): Table | undefined => {
    const table = layout.tables.get(name);
    return table && openTable(database, table, roots.get(name) ?? 0, roots, checkOf);
  };
  const columns = layout.columns.get('catalog') ?? [];
  const rows = decodedRows(
    open('catalog', (place) => rowPacker(place, columns).check),
    columns,
  );
  const property = propertiesOf(open('properties'));
  const chunkRows = later(() => chunksOf(open('chunks')));
  const nested = later(() => nestedOf(open('nested_catalogs'), open('bind_mountpoints')));
  const counters = later(() => countersOf(open('statistics')));
  const rootIndex = rows.byPath(root);
  return {
    schema: readSchema(property('schema') ?? '1.0', layout.columns, rules),
    prefix: property('root_prefix') ?? '',
    rootRow: rootIndex === undefined ? undefined : rows.identity(rootIndex),
    property,
    children: rows.children,
    rowByPath: (digest) => rows.located(rows.byPath(digest)),
    rowById: (rowid) => rows.located(rows.byId(rowid)),
    allRows: rows.all,
    chunkRows: (digest, limit) => chunkRows()(digest, limit),
    nestedRow: (path, bind) => nested().nestedRow(path, bind),
    nestedRows: (bind, after, limit) => nested().nestedRows(bind, after, limit),
    counters: () => counters()(),
    close: () => undefined,
  };
}

/** Makes something when it is first asked for. */
function later<T extends object>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** @param table whose rows were checked. */
function decodedRows(table: Table | undefined, columns: Iterable<string>) {
  if (table === undefined) throw new UnusualDatabase('no table');
  const { rowids } = table;
  const packer = rowPacker(table.column, columns);
  const paths = table.ordered(['md5path_1', 'md5path_2']);
  const parents = table.ordered(['parent_1', 'parent_2']);
  const mode = table.column('mode');
  const rowidOf = (index: number): number => rowids[index] ?? 0;
  /** Packs rows until there are so many; `next` gives the index of each. */
  const page = (
    limit: number,
    located: boolean,
    next: (count: number) => number | undefined,
  ): RowsPage => {
    const full = Math.min(limit, rowsAtOnce.quick);
    let text = '';
    for (let count = 0; count < full; count++) {
      const index = next(count);
      if (index === undefined || !isRowid(rowidOf(index))) break;
      text += packer.pack(table.row(index), rowidOf(index), located);
    }
    return { packed: text === '' ? null : toBytes(text), full };
  };
  return {
    identity: (index: number) => ({
      rowid: rowidOf(index),
      mode: Number(table.row(index).integer(mode)),
    }),
    byPath: (digest: Buffer): number | undefined => {
      const [from, to] = paths.range(pathKey(digest));
      return from < to ? paths.rows[from] : undefined;
    },
    byId: (rowid: number): number | undefined => {
      const index = firstAfter(rowids, rowid - 1);
      return rowids[index] === rowid ? index : undefined;
    },
    located: (index: number | undefined): Buffer | null =>
      index === undefined ? null : toBytes(packer.pack(table.row(index), rowidOf(index), true)),
    children: (digest: Buffer, after: number, limit: number): RowsPage => {
      const [from, to] = parents.range(pathKey(digest));
      let place = from;
      while (place < to && rowidOf(parents.rows[place] ?? 0) <= after) place++;
      return page(limit, false, (count) =>
        place + count < to ? parents.rows[place + count] : undefined,
      );
    },
    all: (after: number, limit: number): RowsPage => {
      const from = firstAfter(rowids, after);
      return page(limit, true, (count) =>
        from + count < rowids.length ? from + count : undefined,
      );
    },
  };
}

function propertiesOf(table: Table | undefined): CatalogFile['property'] {
  if (table === undefined) throw new UnusualDatabase('no properties');
  const values = new Map<ByteString, ByteString | undefined>();
  const [key, value] = [table.column('key'), table.column('value')];
  for (const index of table.rowids.keys()) {
    const row = table.row(index);
    const name = row.type(key) === 'text' ? row.latin1(key) : undefined;
    if (name === undefined || values.has(name)) throw new UnusualDatabase('a key');
    values.set(name, propertyValue(row, value));
  }
  return (name) => values.get(name);
}

function propertyValue(row: RecordReader, column: number): ByteString | undefined {
  const type = row.type(column);
  if (type === 'none') return undefined;
  if (type === 'integer') return String(row.integer(column));
  return row.length(column) > propertyBytesMax ? undefined : row.latin1(column);
}

function chunksOf(table: Table | undefined): CatalogFile['chunkRows'] {
  if (table === undefined) return () => null;
  const order = table.ordered(['md5path_1', 'md5path_2']);
  const [first = -1, second = -1, offset = -1, size = -1, hash = -1] = [
    'md5path_1',
    'md5path_2',
    'offset',
    'size',
    'hash',
  ].map((name) => table.column(name));
  let before: readonly bigint[] = [];
  for (const index of order.rows) {
    const row = table.row(index);
    const isUsual = [first, second, offset, size].every((column) => row.type(column) === 'integer');
    if (!isUsual || row.type(hash) !== 'blob' || row.length(hash) > hashBytesMax)
      throw new UnusualDatabase('a chunk of other types');
    const now = [first, second, offset].map((column) => row.integer(column));
    const isSame = now[0] === before[0] && now[1] === before[1];
    if (isSame && !((now[2] ?? 0n) > (before[2] ?? 0n)))
      throw new UnusualDatabase('chunks in disorder');
    before = now;
  }
  return (digest, limit) => {
    const [from, to] = order.range(pathKey(digest));
    let text = '';
    for (let place = from; place < Math.min(to, from + limit); place++) {
      const row = table.row(order.rows[place] ?? 0);
      text += `[${row.integer(offset)},${row.integer(size)}]${hexOf(row, hash)}\n`;
    }
    return text === '' ? null : toBytes(text);
  };
}

function nestedOf(
  nested: Table | undefined,
  binds: Table | undefined,
): Pick<CatalogFile, 'nestedRow' | 'nestedRows'> {
  const lists = { nested: nestedRowsOf(nested), binds: nestedRowsOf(binds) };
  const byPath = [lists.nested, lists.binds].map(
    (rows) => new Map(rows.map((row) => [fromBytes(row.path), row])),
  );
  return {
    nestedRow: (path, bind) => byPath[bind ? 1 : 0]?.get(fromBytes(path)),
    nestedRows: (bind, after, limit) =>
      lists[bind ? 'binds' : 'nested'].filter(({ rowid }) => rowid > after).slice(0, limit),
  };
}

function nestedRowsOf(table: Table | undefined): NestedRow[] {
  if (table === undefined) return [];
  const [path = -1, hash = -1, size = -1] = ['path', 'sha1', 'size'].map((name) =>
    table.column(name),
  );
  const seen = new Set<string>();
  return table.rowids.map((rowid, index) => {
    const row = table.row(index);
    const key = row.type(path) === 'text' ? row.latin1(path) : undefined;
    if (key === undefined || key.length > nestedPathBytesMax || seen.has(key))
      throw new UnusualDatabase('a path');
    seen.add(key);
    const isHash =
      hash !== -1 && row.type(hash) === 'text' && row.length(hash) <= nestedHashBytesMax;
    const bytes = size !== -1 && row.type(size) === 'integer' ? Number(row.integer(size)) : 0;
    return {
      rowid,
      path: toBytes(key),
      hash: isHash ? row.bytes(hash).toString('utf8') : undefined,
      size: bytes > 0 ? bytes : 0,
    };
  });
}

function countersOf(table: Table | undefined): CatalogFile['counters'] {
  const counters = new Map<string, bigint>();
  if (table === undefined) return () => counters;
  const [counter, value] = [table.column('counter'), table.column('value')];
  if (table.rowids.length > countersMax) throw new UnusualDatabase('too many counters');
  for (const index of table.rowids.keys()) {
    const row = table.row(index);
    if (row.length(counter) > counterBytesMax) throw new UnusualDatabase('a long name');
    counters.set(columnText(row, counter), row.type(value) === 'integer' ? row.integer(value) : 0n);
  }
  return () => counters;
}
