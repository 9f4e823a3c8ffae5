import { existsSync, statSync } from 'node:fs';
import { printable } from '../../format/bytes.js';
import { errno } from '../../format/errno.js';
import { asPinfsError, isMachineFault, PinfsError } from '../../format/errors.js';
import { objectText } from '../../format/hash.js';
import { pathDigest } from '../../format/path-hash.js';
import { withFiles } from '../../machine/file-budget.js';
import { readAllOf } from '../../store/run.js';
import type { Shelf } from '../../store/shelf.js';
import { done, failure, type Outcome } from '../../store/want.js';
import { openCatalogFile, type CatalogFile } from './catalog-file.js';
import type { Catalog } from './catalogs.js';
import { decodeCatalog, decodedBytesMax } from './decoded-catalog.js';
import { isRowid } from './packed-rows.js';

/* From the shelf to a catalog that can be asked: decoded where it is small and as usual, else by SQLite. */

export interface OpenedCatalog {
  readonly file: CatalogFile;
  readonly isDecoded: boolean;
  /** What it takes in memory of this process, where that is all of it. */
  readonly bytes: number;
  /** Whether it is still what was verified. What was removed or replaced meanwhile stays as it was. */
  isUnchanged(): boolean;
}

/** Opens and checks; one that was refused is not looked at again until another file is in its place. */
export function openCatalog(catalog: Catalog, shelf: Shelf): Outcome<OpenedCatalog> {
  const { want } = catalog;
  const miss = { kind: 'miss', want } as const;
  const { kind, bytes } = want.size;
  if (!catalog.isUnusual && kind === 'exact' && bytes <= decodedBytesMax) {
    const whole = Buffer.allocUnsafeSlow(bytes);
    if (shelf.read(want, 0, bytes, whole, 0) === undefined) return miss;
    const file = openDecoded(catalog, whole);
    if (file !== undefined) return done({ file, isDecoded: true, bytes, isUnchanged: () => true });
  }
  const path = shelf.path(want);
  return path === undefined ? openSmall(catalog, shelf) : openFile(catalog, path, shelf);
}

// What a fault was found in, where that was not a file that another one may replace.
const inSegment = 'segment';

/** One that lies in a segment has no file: SQLite gets its bytes. */
function openSmall(catalog: Catalog, shelf: Shelf): Outcome<OpenedCatalog> {
  const { want, fault } = catalog;
  if (fault?.file === inSegment) return failure(errno.EIO, fault.error);
  const whole = readAllOf(shelf, want);
  if (whole.kind !== 'done') return whole;
  const opened = openChecked(catalog, whole.value, inSegment);
  if (opened.kind !== 'done') return opened;
  return done({ file: opened.value, isDecoded: false, bytes: 0, isUnchanged: () => true });
}

/** Undefined: SQLite has to open it, or to say what is wrong with it. */
function openDecoded(catalog: Catalog, bytes: Buffer): CatalogFile | undefined {
  const file = decodeCatalog(bytes, catalogSubject(catalog), pathDigest(catalog.prefix));
  catalog.isUnusual = file === undefined || identityProblem(catalog, file) !== undefined;
  return catalog.isUnusual ? undefined : file;
}

// A catalog that is open may be changed in place: when it is asked it is looked at again, not before so long (ms).
const lookIntervalMs = 1000;

function openFile(catalog: Catalog, path: string, shelf: Shelf): Outcome<OpenedCatalog> {
  const miss = { kind: 'miss', want: catalog.want } as const;
  let before: string;
  try {
    const stat = statSync(path);
    before = `${stat.dev}:${stat.ino}:${stat.mtimeMs}:${stat.size}`;
  } catch {
    // Evicted between the question and the answer.
    return miss;
  }
  const opened = openChecked(catalog, path, before);
  if (opened.kind !== 'done') return existsSync(path) ? opened : miss;
  if (shelf.stillThere?.() === false) {
    opened.value.close();
    return miss;
  }
  const stamp = stampOf(path)?.stamp;
  let lookedMs = Date.now();
  const isUnchanged = (): boolean => {
    const now = Date.now();
    if (Math.abs(now - lookedMs) < lookIntervalMs) return true;
    lookedMs = now;
    const found = stampOf(path);
    const inode = stamp?.split(':')[0];
    return found === undefined || found.inode !== inode || found.stamp === stamp;
  };
  return done({ file: opened.value, isDecoded: false, bytes: 0, isUnchanged });
}

function stampOf(path: string): { readonly inode: string; readonly stamp: string } | undefined {
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (status === undefined) return undefined;
  const inode = `${status.ino}`;
  return { inode, stamp: `${inode}:${status.size}:${status.mtimeNs}:${status.ctimeNs}` };
}

/** @param source its path, or all of it. @param stamp by which it is known whether it was refused before. */
function openChecked(
  catalog: Catalog,
  source: string | Buffer,
  stamp: string,
): Outcome<CatalogFile> {
  if (catalog.fault?.file === stamp) return failure(errno.EIO, catalog.fault.error);
  let file: CatalogFile | undefined;
  try {
    const subject = catalogSubject(catalog);
    file = withFiles(() => openCatalogFile(source, subject, pathDigest(catalog.prefix)));
    const problem = identityProblem(catalog, file);
    if (problem !== undefined) throw problem;
    catalog.fault = undefined;
    return done(file);
  } catch (thrown) {
    file?.close();
    const error = asPinfsError(thrown);
    // Faults of this machine, such as too many open files, may pass.
    const passes = error.code === 'INTERNAL' || error.code === 'CACHE_UNUSABLE';
    if (!passes && !isMachineFault(error)) catalog.fault = { error, file: stamp };
    return failure(errno.EIO, error);
  }
}

/** What a catalog is called in messages. */
function catalogSubject(catalog: Pick<Catalog, 'want' | 'mountpoint'>): string {
  return `catalog ${objectText(catalog.want.object)} of ${printable(catalog.mountpoint) || '/'}`;
}

/** Why a catalog is not the one that belongs here: its prefix has to fit, and its root entry to be a directory. */
function identityProblem(
  catalog: Catalog,
  { prefix, rootRow }: CatalogFile,
): PinfsError | undefined {
  const subject = catalogSubject(catalog);
  if (prefix !== catalog.prefix) {
    const text = `the ${subject} was made for another place: ${printable(prefix) || '/'}`;
    return new PinfsError('CATALOG_SCHEMA', text);
  }
  const wrong =
    rootRow === undefined || !isRowid(rootRow.rowid)
      ? 'has no entry for its own root'
      : (rootRow.mode & 0o170000) !== 0o040000
        ? 'has a root entry that is no directory'
        : undefined;
  if (wrong !== undefined) return new PinfsError('CATALOG_ROOT_ENTRY', `the ${subject} ${wrong}`);
  catalog.rootRowid = rootRow?.rowid ?? 0;
  return undefined;
}
