import { printable } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';
import { pathDigest } from '../format/path-hash.js';
import type { Want } from '../store/want.js';
import type { CatalogFile } from './catalog/catalog-file.js';
import type { Catalog } from './catalog/catalogs.js';
import { checkChunks, chunksMax } from './catalog/chunk-list.js';
import { chunkWant, wholeWant } from './content.js';
import { disorder } from './catalog/damage.js';
import type { Entry } from './entry.js';
import { locatedRowAt, type LocatedRow } from './catalog/located-row.js';
import { makeEntry, nodeOf, snapshotPath, type EntryOptions } from './catalog/make-entry.js';
import { createPathFinder, rowPlaceOf, type PathFinder } from './catalog/row-place.js';
import type { BrokenPath, ObjectsPage } from './tree.js';

const pageRows = 512;

/**
 * The objects that the files among the next rows of a catalog need. Rows that no path leads to are
 * left out: nobody can read them.
 * @param after row id behind which to go on.
 * @param limit rows to look at, at most 512.
 */
export function objectsPage(
  catalog: Catalog,
  file: CatalogFile,
  options: EntryOptions,
  after: number,
  limit: number,
): ObjectsPage {
  const page = { wants: [] as Want[], broken: [] as BrokenPath[] };
  const pathOf = createPathFinder(catalog, file);
  const wanted = Math.min(Math.max(limit, 1), pageRows);
  const { packed, full } = file.allRows(after, wanted);
  let last = after;
  let read = 0;
  for (let position = 0; packed !== null && position < packed.length; read++) {
    const located = locatedRowAt(packed, position);
    if (located === undefined) break;
    if (!(located.row.rowid > last)) throw disorder(catalog.mountpoint);
    position = located.row.end;
    last = located.row.rowid;
    addObjects({ catalog, file, options, pathOf }, located, page);
  }
  return { ...page, next: read < full ? undefined : last };
}

function addObjects(
  context: {
    readonly catalog: Catalog;
    readonly file: CatalogFile;
    readonly options: EntryOptions;
    readonly pathOf: PathFinder;
  },
  located: LocatedRow,
  page: { readonly wants: Want[]; readonly broken: BrokenPath[] },
): void {
  const { catalog, file } = context;
  const place = rowPlaceOf(catalog, file, located, context.pathOf);
  if (place === undefined) return;
  const node = nodeOf(catalog, located.row.rowid);
  const entry = makeEntry(located.row, { ...place, node }, context.options);
  const error = entry === undefined ? noType(place.path) : entry.broken;
  if (error !== undefined) page.broken.push({ path: place.path, error });
  else if (entry?.content !== undefined) addContent(catalog, file, entry, page);
}

function addContent(
  catalog: Catalog,
  file: CatalogFile,
  entry: Entry,
  page: { readonly wants: Want[]; readonly broken: BrokenPath[] },
): void {
  const { content } = entry;
  if (content === undefined) return;
  if (!content.chunked) {
    const want = wholeWant(entry, content);
    if (want !== undefined) page.wants.push(want);
    return;
  }
  const chunks = checkChunks(
    file.chunkRows(pathDigest(snapshotPath(catalog, entry.path)), chunksMax + 1),
    entry.size,
    content.algorithm,
  );
  if (typeof chunks === 'string') {
    const message = `${printable(entry.path)} is damaged: ${chunks}`;
    page.broken.push({ path: entry.path, error: new PinfsError('CATALOG_SCHEMA', message) });
  } else {
    for (const chunk of chunks) page.wants.push(chunkWant(entry, content, chunk));
  }
}

function noType(path: string): PinfsError {
  const message = `${printable(path)} is damaged: its mode has no known file type`;
  return new PinfsError('CATALOG_SCHEMA', message);
}
