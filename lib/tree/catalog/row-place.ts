import { toBytes, type ByteString } from '../../format/bytes.js';
import { flagBits, isName, type RawRow } from '../../format/catalog-row.js';
import { isHashOf, pathDigest } from '../../format/path-hash.js';
import type { CatalogFile } from './catalog-file.js';
import { linkedChunks } from './chunk-list.js';
import type { Catalog } from './catalogs.js';
import { locatedRow, type LocatedRow } from './located-row.js';
import type { RowPlace } from './make-entry.js';

// A path of PATH_MAX bytes can't have more directories.
const depthMax = 2048;

/**
 * Finds out where the row with this id stands, by going up from parent to parent inside its catalog.
 * Undefined: there is no such row, or it can't be reached, or its path hash is that of another place.
 */
export function placeOfRow(
  catalog: Catalog,
  file: CatalogFile,
  rowid: number,
): (Omit<RowPlace, 'node'> & { readonly row: RawRow }) | undefined {
  const located = locatedRow(file.rowById(rowid));
  if (located === undefined) return undefined;
  return rowPlaceOf(catalog, file, located, createPathFinder(catalog, file));
}

/** The place of a row that was read with its parent's hash. */
export function rowPlaceOf(
  catalog: Catalog,
  file: CatalogFile,
  { row, parent }: LocatedRow,
  pathOf: PathFinder,
): (Omit<RowPlace, 'node'> & { readonly row: RawRow }) | undefined {
  const { legacy } = file.schema;
  if (isHashOf(row.key, catalog.prefix)) {
    // The root of a nested catalog is shown by the row in the catalog above.
    if (catalog.parent !== undefined) return undefined;
    return { row, catalog, legacy, path: '', name: '', chunkList: '' };
  }
  const above = pathOf(parent);
  if (above === undefined || !isName(row.name)) return undefined;
  const inside = `${above}/${row.name}`;
  if (!isHashOf(row.key, inside)) return undefined;
  const path = catalog.mountpoint + inside.slice(catalog.prefix.length);
  return { row, catalog, legacy, path, name: row.name, chunkList: linkedChunks(file, row) };
}

/** Path (inside the snapshot) of the directory with this hash; undefined if it can't be reached from the catalog's root. */
export type PathFinder = (digest: Buffer) => ByteString | undefined;

/** Remembers the directories that it met, since neighbouring rows have the same parents. */
export function createPathFinder(catalog: Catalog, file: CatalogFile): PathFinder {
  const known = new Map<string, ByteString | undefined>();
  const keyOf = (digest: Buffer): string => digest.toString('latin1', 0, 16);
  known.set(keyOf(pathDigest(catalog.prefix)), catalog.prefix);
  return (digest) => {
    const passed: { key: string; row: RawRow }[] = [];
    let key = keyOf(digest);
    for (let at = digest; !known.has(key); key = keyOf(at)) {
      const located = locatedRow(file.rowByPath(at));
      const isDirectory = located !== undefined && (located.row.mode & 0o170000) === 0o040000;
      if (!isDirectory || passed.length >= depthMax) {
        known.set(key, undefined);
        break;
      }
      passed.push({ key, row: located.row });
      at = located.parent;
    }
    let path = known.get(key);
    for (const { key: own, row } of passed.reverse()) {
      path = path === undefined ? undefined : shownChildren(file, `${path}/${row.name}`, row);
      known.set(own, path);
    }
    return path;
  };
}

/** The path of a directory, unless another catalog is mounted on it and covers these children. */
function shownChildren(file: CatalogFile, path: ByteString, row: RawRow): ByteString | undefined {
  const bind = !file.schema.legacy && (row.flags & flagBits.bindMountpoint) !== 0;
  if (!bind && (row.flags & flagBits.nestedMountpoint) === 0) return path;
  return file.nestedRow(toBytes(path), bind) === undefined ? path : undefined;
}
