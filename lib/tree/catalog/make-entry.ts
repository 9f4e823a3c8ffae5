import { printable, type ByteString } from '../../format/bytes.js';
import { checkRow, type CheckedRow, type RawRow } from '../../format/catalog-row.js';
import { PinfsError } from '../../format/errors.js';
import { expandTarget, type LinkVariables } from '../../format/link-variables.js';
import { inodeOfDigest, inodeOfWords, pathDigest } from '../../format/path-hash.js';
import type { Catalog } from './catalogs.js';
import type { Content } from '../../format/catalog-row.js';
import type { Entry, NodeId } from '../entry.js';
import type { InodeNumbers } from '../inode-table.js';
import type { IdMap, ShownAttributes } from '../tree.js';

/** What turns rows into entries, the same for the whole tree. */
export interface EntryOptions {
  readonly variables: LinkVariables;
  readonly owner: { readonly uid: number; readonly gid: number };
  readonly shown: ShownAttributes | undefined;
  /** How inode numbers are shown; undefined: with their 63 bits. */
  readonly inodes: InodeNumbers | undefined;
}

/** Where a row stands. */
export interface RowPlace {
  readonly catalog: Catalog;
  readonly legacy: boolean;
  /** Visible path of the entry. */
  readonly path: ByteString;
  readonly name: ByteString;
  readonly node: NodeId;
  /** What `linkedChunks` says of the row. */
  readonly chunkList: string;
}

export function nodeOf(catalog: Catalog, rowid: number): NodeId {
  return catalog.number * 2 ** 32 + rowid;
}

/** The path inside its own snapshot of what is seen at `path` (docs/format.md, 5.11). */
export function snapshotPath(catalog: Catalog, path: ByteString): ByteString {
  if (catalog.prefix === catalog.mountpoint) return path;
  return catalog.prefix + path.slice(catalog.mountpoint.length);
}

/** A row as an entry; undefined if its type can't be told. */
export function makeEntry(row: RawRow, place: RowPlace, options: EntryOptions): Entry | undefined {
  const checked = checkRow(row, place.legacy, options.owner);
  if (checked === undefined) return undefined;
  const target =
    checked.type === 'symlink' ? expandTarget(checked.rawTarget, options.variables) : '';
  const ino = inodeOfRow(row, checked.linkGroup, place);
  return {
    node: place.node,
    name: place.name,
    path: place.path,
    type: checked.type,
    mode: options.shown?.worldReadable === true ? readable(checked) : checked.mode,
    uid: mapped(checked.uid, options.shown?.uids),
    gid: mapped(checked.gid, options.shown?.gids),
    size: checked.type === 'symlink' ? target.length : checked.size,
    mtime: checked.mtime,
    mtimeNs: checked.mtimeNs,
    nlink: checked.nlink,
    rdev: checked.rdev,
    ino: options.inodes?.shown(ino) ?? ino,
    linkGroup: checked.linkGroup,
    rawTarget: checked.rawTarget,
    target,
    xattrs: checked.xattrs,
    content: contentAt(checked.content, place),
    hidden: checked.hidden,
    nestedMountpoint: checked.nestedMountpoint,
    bindMountpoint: checked.bindMountpoint,
    directIo: checked.directIo,
    broken:
      checked.fault === undefined
        ? undefined
        : new PinfsError(
            'CATALOG_SCHEMA',
            `${printable(place.path) || '/'} is damaged: ${checked.fault}`,
          ),
  };
}

function mapped(id: number, map: IdMap | undefined): number {
  return map === undefined ? id : (map.ids[id] ?? map.others ?? id);
}

function readable({ mode, type }: CheckedRow): number {
  return mode | (type === 'directory' ? 0o555 : 0o444);
}

function contentAt(content: CheckedRow['content'], place: RowPlace): Content | undefined {
  if (content?.external !== true) return content;
  return { ...content, externalPath: snapshotPath(place.catalog, place.path) };
}

/**
 * The inode number of a row, of 63 bits. `linkGroup` as `linkGroupOf` gives it.
 * Inode numbers don't depend on what was loaded when (docs/format.md, 5.12). Below a bind mountpoint they come from the
 * visible path, since the catalog's own hashes are those of another place.
 */
export function inodeOfRow(
  row: RawRow,
  linkGroup: number,
  place: Pick<RowPlace, 'catalog' | 'path' | 'chunkList'>,
): bigint {
  if (linkGroup !== 0)
    return inodeOfDigest(
      pathDigest(`${place.catalog.mountpoint}\0${linkIdentity(row, place.chunkList)}`),
    );
  const moved = place.catalog.prefix !== place.catalog.mountpoint;
  return moved ? inodeOfDigest(pathDigest(place.path)) : inodeOfWords(row.key);
}

/**
 * What rows of one hard-link group have in common (docs/format.md, 5.7). Rows that only claim to be of one group,
 * but differ, are not taken for one file: `tar` would keep one of them, and a reader of one would get the other's bytes.
 * @param chunkList as in `RowPlace`.
 */
export function linkIdentity(row: RawRow, chunkList: string): string {
  return [
    row.linkGroup,
    row.mode,
    row.size,
    row.hash,
    row.mtime,
    row.uid,
    row.gid,
    row.flags,
    row.symlink,
    chunkList,
  ].join('\0');
}
