import type { ByteString } from '../../format/bytes.js';
import type { RawRow } from '../../format/catalog-row.js';
import { isHashOf } from '../../format/path-hash.js';
import { linkedChunks } from './chunk-list.js';
import type { CatalogFile } from './catalog-file.js';
import { disorder } from './damage.js';
import type { Entry, NodeId } from '../entry.js';
import { isRowid, looksLinkedWithoutHash, rowAt, spanAt } from './packed-rows.js';
import type { TreeStatistics } from '../tree.js';

/** All rows of a directory, packed as they were read, decoded when they are asked for. */
export interface LoadedRows {
  readonly pages: readonly Buffer[];
  /** Of each row, in the order of row ids: page, position, id. */
  readonly page: readonly number[];
  readonly start: readonly number[];
  readonly ids: readonly number[];
  readonly byName: ReadonlyMap<ByteString, number>;
  /** Of the rows that have one, by row id: what `linkedChunks` says. */
  readonly chunkLists: ReadonlyMap<number, string>;
  /** `null`: the row was refused. */
  readonly entries: (Entry | null | undefined)[];
  /** The node of each hard-link group: that of its smallest row id. Made when first needed. */
  links: ReadonlyMap<string, NodeId> | undefined;
}

/** The most rows that are read at once. */
export const pageRows = 512;
// Larger directories are served row by row, so that a million entries take no more memory than these.
const loadedRowsMax = 8 * pageRows;
const loadedBytesMax = 2 * 1024 * 1024;
/** Reads all rows of a directory; undefined: they are too many. */
export function loadRows(
  file: CatalogFile,
  snapshotPath: ByteString,
  digest: Buffer,
  statistics: TreeStatistics,
): LoadedRows | undefined {
  const pages: Buffer[] = [];
  const page: number[] = [];
  const start: number[] = [];
  const ids: number[] = [];
  const byName = new Map<ByteString, number>();
  const linked: RawRow[] = [];
  let bytes = 0;
  for (let after = 0; ;) {
    const { packed, full } = file.children(digest, after, pageRows);
    if (packed === null) break;
    bytes += packed.length;
    if (bytes > loadedBytesMax || ids.length >= loadedRowsMax) return undefined;
    let read = 0;
    for (let position = 0; position < packed.length; read++) {
      const span = spanAt(packed, position);
      if (span === undefined) break;
      if (!(span.rowid > after)) throw disorder(snapshotPath);
      after = span.rowid;
      if (span.name === undefined || !isRowid(span.rowid)) statistics.rowsRefused++;
      else {
        // Of two rows with one name, the one whose path hash fits is meant.
        const fits = !byName.has(span.name) || fitsName(packed, position, snapshotPath, span.name);
        if (fits) byName.set(span.name, ids.length);
        page.push(pages.length);
        start.push(position);
        ids.push(span.rowid);
        const row = looksLinkedWithoutHash(packed, span.end) && rowAt(packed, position);
        if (row) linked.push(row);
      }
      position = span.end;
    }
    pages.push(packed);
    if (read < full) break;
  }
  const entries = new Array<Entry | null | undefined>(ids.length).fill(undefined);
  const chunkLists = chunkListsOf(file, linked);
  return { pages, page, start, ids, byName, chunkLists, entries, links: undefined };
}

const noChunkLists: ReadonlyMap<number, string> = new Map();

function chunkListsOf(file: CatalogFile, rows: readonly RawRow[]): ReadonlyMap<number, string> {
  if (rows.length === 0) return noChunkLists;
  return new Map(rows.map((row) => [row.rowid, linkedChunks(file, row)]));
}

function fitsName(
  packed: Buffer,
  position: number,
  directory: ByteString,
  name: ByteString,
): boolean {
  const row = rowAt(packed, position);
  return row !== undefined && isHashOf(row.key, `${directory}/${name}`);
}

/** A row, decoded. */
export function rowOf(rows: LoadedRows, index: number): RawRow | undefined {
  const page = rows.pages[rows.page[index] ?? -1];
  const start = rows.start[index];
  return page === undefined || start === undefined ? undefined : rowAt(page, start);
}

/** What `linkedChunks` says of a row. */
export function chunkListOf(rows: LoadedRows, row: RawRow): string {
  return rows.chunkLists.get(row.rowid) ?? '';
}
