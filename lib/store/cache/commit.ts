import type { BigIntStats } from 'node:fs';
import type { PinfsError } from '../../format/errors.js';
import { limitReached } from './full.js';
import type { ObjectKey } from '../key.js';
import { cacheUnusable } from './layout.js';
import type { Limit } from './limit.js';
import { moveInto, stampInPlace, unlinkIfThere } from './object-files.js';
import type { Place } from './place.js';
import { charge, firstUse, type Statements } from './records.js';
import { stampOf } from './stamp.js';

/** An object that was verified and written to tmp/. */
export interface Prepared {
  readonly key: ObjectKey;
  readonly temporary: string;
  readonly size: number;
  readonly sha256: Buffer;
}

/** Where to, and how much of it. */
export interface Destination {
  readonly place: Pick<Place, 'at' | 'directory'>;
  readonly limit: Limit;
  /** Bytes that objects may take. */
  readonly room: number;
  /** Whether they go before all else when room is needed. */
  readonly isVolatile: boolean;
}

/** Bytes of all objects on the disk, as the records have them. */
export function totalOf(sql: Statements): number {
  return sql.totals.get()?.bytes ?? 0;
}

/** Puts objects in their places and records them. Under the write lock. One error or none for each. */
export function putAll(
  sql: Statements,
  batch: readonly Prepared[],
  to: Destination,
): { readonly results: (PinfsError | undefined)[]; readonly bytes: number } {
  const before = totalOf(sql);
  let bytes = before;
  const results = batch.map((object) => {
    const put = putOne(sql, object, to, bytes);
    if (typeof put !== 'number') return put;
    bytes += put;
    return undefined;
  });
  if (bytes !== before) sql.grow.run(bytes - before);
  return { results, bytes };
}

/** @returns by how many bytes the cache grew. */
function putOne(
  sql: Statements,
  object: Prepared,
  { place, limit, room, isVolatile }: Destination,
  taken: number,
): number | PinfsError {
  const record = sql.get.get(object.key);
  if (record !== undefined && stampInPlace(place.at, object.key) === record.stamp) {
    // Another process was quicker.
    unlinkIfThere(object.temporary);
    return 0;
  }
  const more = charge(object.size) - (record === undefined ? 0 : charge(record.size));
  if (taken + more > room) {
    unlinkIfThere(object.temporary);
    return limitReached(place.directory, limit.bytes, limit.byDisk);
  }
  let placed: BigIntStats;
  try {
    placed = moveInto(place.at, object.temporary, object.key);
  } catch (thrown) {
    // A fault of this one's place; others of the batch have their own.
    unlinkIfThere(object.temporary);
    return cacheUnusable(place.directory, thrown);
  }
  const used = firstUse(object.key, isVolatile);
  sql.insert.run(object.key, object.size, object.sha256, stampOf(placed), used);
  return more;
}
