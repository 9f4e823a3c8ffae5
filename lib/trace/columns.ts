import { digestBytes, type ObjectTable } from './trace.js';

/** Columns that grow. */

type NumberColumn = Float64Array | Uint32Array | Uint8Array;

interface GrowingColumn<T extends NumberColumn> {
  push(value: number): void;
  set(index: number, value: number): void;
  get(index: number): number;
  /** What was pushed; no copy. */
  done(): T;
}

const lengthAtFirst = 1024;

function growingColumn<T extends NumberColumn>(make: (length: number) => T): GrowingColumn<T> {
  let column = make(lengthAtFirst);
  let used = 0;
  return {
    push(value) {
      if (used === column.length) {
        const larger = make(Math.ceil(used * 1.5));
        larger.set(column);
        column = larger;
      }
      column[used++] = value;
    },
    set(index, value) {
      column[index] = value;
    },
    get: (index) => column[index] ?? 0,
    done: () => column.subarray(0, used) as T,
  };
}

export const doubleColumn = (): GrowingColumn<Float64Array> =>
  growingColumn((n) => new Float64Array(n));
export const wordColumn = (): GrowingColumn<Uint32Array> =>
  growingColumn((n) => new Uint32Array(n));
export const octetColumn = (): GrowingColumn<Uint8Array> => growingColumn((n) => new Uint8Array(n));

/** The parts of one object, as its definition has them. */
interface ObjectRow {
  readonly form: number;
  readonly kind: number;
  readonly isPlain: number;
  readonly digest: Uint8Array;
  readonly plainSize: number;
  readonly storedSize: number;
}

interface GrowingObjectTable {
  readonly count: number;
  /** @returns its index. */
  add(row: ObjectRow): number;
  plainSize(index: number): number;
  setPlainSize(index: number, bytes: number): void;
  setStoredSize(index: number, bytes: number): void;
  done(): ObjectTable;
}

export function growingObjectTable(): GrowingObjectTable {
  let digests = new Uint8Array(lengthAtFirst * digestBytes);
  const forms = octetColumn();
  const kinds = octetColumn();
  const isPlain = octetColumn();
  const plainSizes = doubleColumn();
  const storedSizes = doubleColumn();
  let count = 0;
  return {
    get count() {
      return count;
    },
    add(row) {
      if ((count + 1) * digestBytes > digests.length) {
        const larger = new Uint8Array(Math.ceil(digests.length * 1.5));
        larger.set(digests);
        digests = larger;
      }
      digests.set(row.digest, count * digestBytes);
      forms.push(row.form);
      kinds.push(row.kind);
      isPlain.push(row.isPlain);
      plainSizes.push(row.plainSize);
      storedSizes.push(row.storedSize);
      return count++;
    },
    plainSize: (index) => plainSizes.get(index),
    setPlainSize: (index, bytes) => {
      plainSizes.set(index, bytes);
    },
    setStoredSize: (index, bytes) => {
      storedSizes.set(index, bytes);
    },
    done: () => ({
      count,
      digests: digests.subarray(0, count * digestBytes),
      forms: forms.done(),
      kinds: kinds.done(),
      isPlain: isPlain.done(),
      plainSizes: plainSizes.done(),
      storedSizes: storedSizes.done(),
    }),
  };
}
