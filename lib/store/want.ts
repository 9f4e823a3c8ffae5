import type { PinfsError } from '../format/errors.js';
import type { ByteString } from '../format/bytes.js';
import type { Compression } from '../format/compression.js';
import type { ObjectName } from '../format/hash.js';
import { keyOf, type ObjectKey } from './key.js';

/** An object that is needed, and all that has to be known to fetch and verify it. */
export interface Want {
  readonly object: ObjectName;
  readonly compression: Compression;
  /**
   * Size of the plain bytes. `exact`: what the catalog promises, anything else is damage.
   * `limit`: the most that may be stored, where nobody promised a size.
   */
  readonly size: { readonly kind: 'exact' | 'limit'; readonly bytes: number };
  /** The path for which it is needed, for messages and statistics. */
  readonly path: ByteString;
  /** The object lies on the external source, at this path and range, not under `data/`. */
  readonly external?: {
    readonly path: ByteString;
    readonly range?: { readonly offset: number; readonly length: number };
  };
}

/**
 * An operation of the synchronous core could not finish, because an object is not on this machine.
 * Hand `want` to the store, then run the same operation again from its start.
 */
export interface Miss {
  readonly kind: 'miss';
  readonly want: Want;
  /** Objects that will be wanted next (read-ahead); nobody waits for them. */
  readonly ahead?: readonly Want[];
}

/** An operation ended with an errno (positive, as in errno.h); `error` says why where it is a fault of the data. */
export interface Failure {
  readonly kind: 'failure';
  readonly errno: number;
  readonly error?: PinfsError;
}

export interface Done<T> {
  readonly kind: 'done';
  readonly value: T;
}

/** What a synchronous operation gives: its value, a miss, or an errno. It never throws for bad data. */
export type Outcome<T> = Done<T> | Miss | Failure;

export function done<T>(value: T): Done<T> {
  return { kind: 'done', value };
}

/** An operation that ends with an errno; `error` where the data or this machine is to blame. */
export function failure(errno: number, error?: PinfsError): Failure {
  return error === undefined ? { kind: 'failure', errno } : { kind: 'failure', errno, error };
}

/** Goes on with the value, if there is one; a miss or a failure is handed through. */
export function andThen<T, U>(outcome: Outcome<T>, next: (value: T) => Outcome<U>): Outcome<U> {
  return outcome.kind === 'done' ? next(outcome.value) : outcome;
}

/** One key for each object as kept: the same stored bytes read with another compression are another object. */
export function wantKey(want: {
  readonly object: ObjectName;
  readonly compression: Compression;
}): ObjectKey {
  return keyOf(want.object, want.compression);
}

/** One key for each fetch: the same object with another promise, or from another place, is another one. */
export function flightKey(want: Want): string {
  const { external } = want;
  const range = external?.range;
  const place =
    external === undefined ? '' : `${range?.offset ?? 0}+${range?.length ?? 0} ${external.path}`;
  return `${wantKey(want)} ${want.size.kind} ${want.size.bytes} ${place}`;
}

/** Limits on plain sizes where nobody promised one (bytes). */
export const sizeLimits = {
  manifest: 64 * 1024,
  whitelist: 256 * 1024,
  certificate: 64 * 1024,
  metainfo: 64 * 1024,
  catalog: 256 * 1024 * 1024,
  history: 1024 * 1024 * 1024,
} as const;
