import { isPlanned } from './catalog-schema.js';
import { headerBytes, schemaEntriesMax } from './database-pages.js';
import { readTable, RecordReader, UnusualDatabase, type DatabaseBytes } from './database-rows.js';
import {
  knownLayout,
  schemaTextBytesMax,
  type GuardRules,
  type SchemaEntry,
  type SchemaLayout,
} from './guarded-sqlite.js';

/* The schema of a catalog that is decoded (decoded-catalog.ts). */

// A page of rows that leads to no other one (SQLite file format, 1.6).
const schemaLeaf = 13;

interface Schema {
  readonly layout: SchemaLayout;
  /** First page of each table and index. */
  readonly roots: ReadonlyMap<string, number>;
}

// Of the catalog before: nearly all of a repository have the same first page, but for the header of the file.
let lastSchema: { readonly page: Buffer; readonly schema: Schema } | undefined;

/**
 * The schema, if it is one that was found good, with nothing that is stored in another way than it reads.
 * @throws UnusualDatabase
 */
export function schemaOf(database: DatabaseBytes, rules: GuardRules): Schema | undefined {
  const { bytes, pageSize, seen } = database;
  if (lastSchema?.page.length === pageSize) {
    if (bytes.compare(lastSchema.page, headerBytes, pageSize, headerBytes, pageSize) === 0) {
      seen[1] = 1;
      return lastSchema.schema;
    }
  }
  const { entries, roots, isOfOnePage } = readSchemaRows(database);
  const layout = knownLayout(rules, entries);
  if (layout === undefined || !isPlanned(layout.columns)) return undefined;
  for (const table of layout.tables.values()) if (!table.isPlain) return undefined;
  const schema = { layout, roots };
  if (isOfOnePage) lastSchema = { page: Buffer.from(bytes.subarray(0, pageSize)), schema };
  return schema;
}

/** Rows of the schema as `knownLayout` takes them, and the first page of each table and index. */
function readSchemaRows(database: DatabaseBytes): {
  readonly entries: SchemaEntry[];
  readonly roots: ReadonlyMap<string, number>;
  /** Nothing of them lies behind the first page. */
  readonly isOfOnePage: boolean;
} {
  const records = readTable(database, 1, schemaEntriesMax);
  const row = new RecordReader(database);
  const roots = new Map<string, number>();
  const entries = records.from.map((_, index) => {
    row.open(records, index);
    const [type, name, table] = [0, 1, 2].map((column) => columnText(row, column));
    const page = row.type(3) === 'integer' ? Number(row.integer(3)) : 0;
    const sql = row.type(4) === 'none' ? null : columnText(row, 4);
    const isLong = sql !== null && row.length(4) > schemaTextBytesMax;
    if (name === undefined || roots.has(name) || isLong) throw new UnusualDatabase('a name twice');
    roots.set(name, page);
    return [type, name, table, page > 0 ? 1 : 0, sql];
  });
  const isLeaf = database.bytes[headerBytes] === schemaLeaf;
  const isOfOnePage = isLeaf && records.to.every((end) => end <= database.pageSize);
  return { entries, roots, isOfOnePage };
}

/** @throws UnusualDatabase for what is no text. */
export function columnText(row: RecordReader, column: number): string {
  if (row.type(column) !== 'text') throw new UnusualDatabase('no text');
  return row.bytes(column).toString('utf8');
}
