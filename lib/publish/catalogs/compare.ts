import type { ByteString } from '../../format/bytes.js';
import { chunksOf, rowsOf, type BaseCatalog } from './base-catalog.js';
import type { CatalogLink, ChunkValues, RowValues } from './catalog-writer.js';
import { emitRows, type RowSink } from './emit-rows.js';
import type { DirectoryNode } from './tree-node.js';

/** Whether a catalog that was published holds the same as a directory: its rows, chunks, and the catalogs below. */
export async function isUnchanged(
  base: BaseCatalog,
  path: ByteString,
  directory: DirectoryNode,
  nested: readonly CatalogLink[],
): Promise<boolean> {
  if (!sameLinks(base.nested, nested)) return false;
  const db = await base.open();
  const rowIterator = rowsOf(db);
  const chunkIterator = chunksOf(db);
  try {
    const rows = asPublished(rowIterator, equalBut, (one, other) => equalBut(one, other, linksAt));
    const chunks = asPublished(chunkIterator, chunkEquals, chunkEquals);
    const { binds } = emitRows(path, directory, { row: rows.take, chunk: chunks.take });
    if (rows.isAtEnd() && chunks.isAtEnd()) return sameLinks(base.binds, binds);
    // Other publishers write rows in another order.
    if (rows.differs()) return false;
  } finally {
    // A database with a query under way can't be closed.
    rowIterator.return?.();
    chunkIterator.return?.();
    db.close();
  }
  return isSameInAnyOrder(base, path, directory);
}

function sameLinks(
  before: ReadonlyMap<ByteString, CatalogLink>,
  now: readonly CatalogLink[],
): boolean {
  return (
    before.size === now.length && now.every(({ path, hash }) => before.get(path)?.hash === hash)
  );
}

interface Comparison<Values> {
  /** @returns whether the next one that was published is the same. */
  readonly take: (values: Values) => boolean;
  /** Whether all were the same, and there are no more. */
  readonly isAtEnd: () => boolean;
  /** Whether the same entry had other values. */
  readonly differs: () => boolean;
}

function asPublished<Values extends RowValues | ChunkValues>(
  published: IterableIterator<Values>,
  equals: (one: Values, other: Values) => boolean,
  mayEqual: (one: Values, other: Values) => boolean,
): Comparison<Values> {
  let isSame = true;
  let isOther = false;
  return {
    take(values) {
      const next = published.next();
      isSame = next.done !== true && equals(next.value, values);
      if (!isSame) {
        const isSameEntry =
          next.done !== true && next.value[0] === values[0] && next.value[1] === values[1];
        isOther = next.done === true || (isSameEntry && !mayEqual(next.value, values));
      }
      return isSame;
    },
    isAtEnd: () => isSame && published.next().done === true,
    differs: () => isOther,
  };
}

// Positions in a row of the hard links, and of what means nothing in a directory: its size.
const linksAt = 4;
const sizeAt = 6;

function equalBut(one: RowValues, other: RowValues, except?: number): boolean {
  for (let at = 0; at < one.length; at++) {
    const a = one[at];
    const b = other[at];
    if (a === b || at === except) continue;
    if (Buffer.isBuffer(a) && Buffer.isBuffer(b) && a.equals(b)) continue;
    if (at === sizeAt && (Number(one[7]) & 0o170000) === 0o040000) continue;
    return false;
  }
  return true;
}

function chunkEquals(one: ChunkValues, other: ChunkValues): boolean {
  const [first, second, offset, size, hash] = other;
  return (
    one[0] === first &&
    one[1] === second &&
    one[2] === offset &&
    one[3] === size &&
    one[4].equals(hash)
  );
}

/** The same for catalogs whose rows come in another order, and whose hard links have other numbers. */
async function isSameInAnyOrder(
  base: BaseCatalog,
  path: ByteString,
  directory: DirectoryNode,
): Promise<boolean> {
  const db = await base.open();
  try {
    const rows = new Map<string, RowValues>();
    for (const row of rowsOf(db)) rows.set(`${row[0]},${row[1]}`, row);
    const chunks = new Map<string, ChunkValues>();
    for (const chunk of chunksOf(db)) chunks.set(`${chunk[0]},${chunk[1]},${chunk[2]}`, chunk);
    const groups = new Map<bigint, bigint>();
    const taken = new Set<bigint>();
    const sameGroup = (before: bigint, now: bigint): boolean => {
      if ((before & 0xffff_ffffn) !== (now & 0xffff_ffffn)) return false;
      const [a, b] = [before >> 32n, now >> 32n];
      if (a === 0n || b === 0n) return a === b || (before & 0xffff_ffffn) === 1n;
      const known = groups.get(a);
      if (known !== undefined) return known === b;
      if (taken.has(b)) return false;
      taken.add(b);
      groups.set(a, b);
      return true;
    };
    const seen = { isSame: true };
    const sink: RowSink = {
      row(values) {
        const key = `${values[0]},${values[1]}`;
        const before = rows.get(key);
        rows.delete(key);
        seen.isSame =
          before !== undefined &&
          sameGroup(before[linksAt], values[linksAt]) &&
          equalBut(before, values, linksAt);
        return seen.isSame;
      },
      chunk(values) {
        const key = `${values[0]},${values[1]},${values[2]}`;
        const before = chunks.get(key);
        chunks.delete(key);
        seen.isSame = before !== undefined && chunkEquals(before, values);
        return seen.isSame;
      },
    };
    const { binds } = emitRows(path, directory, sink);
    return seen.isSame && rows.size === 0 && chunks.size === 0 && sameLinks(base.binds, binds);
  } finally {
    db.close();
  }
}
