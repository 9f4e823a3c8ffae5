import { linkGroupOf } from '../format/catalog-row.js';
import type { CatalogFile } from './catalog/catalog-file.js';
import type { Catalog } from './catalog/catalogs.js';
import { linkedChunks } from './catalog/chunk-list.js';
import { disorder } from './catalog/damage.js';
import { locatedRowAt } from './catalog/located-row.js';
import { inodeOfRow } from './catalog/make-entry.js';
import type { InodesPage } from './tree.js';

const pageRows = 512;

/** The inode numbers of the next rows of a catalog; what its rows hold else is not looked at. */
export function inodesPage(
  catalog: Catalog,
  file: CatalogFile,
  after: number,
  limit: number,
): InodesPage {
  const inodes: bigint[] = [];
  const { packed, full } = file.allRows(after, Math.min(Math.max(limit, 1), pageRows));
  let last = after;
  let read = 0;
  for (let position = 0; packed !== null && position < packed.length; read++) {
    const row = locatedRowAt(packed, position)?.row;
    if (row === undefined) break;
    if (!(row.rowid > last)) throw disorder(catalog.mountpoint);
    position = row.end;
    last = row.rowid;
    const linkGroup = linkGroupOf(row, file.schema.legacy);
    const chunkList = linkGroup === 0 ? '' : linkedChunks(file, row);
    inodes.push(inodeOfRow(row, linkGroup, { catalog, path: '', chunkList }));
  }
  return { inodes, next: read < full ? undefined : last };
}
