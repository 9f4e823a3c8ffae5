import { charge } from '../../eviction/amounts.js';
import type { BigIntStats } from 'node:fs';
import type { SegmentStore } from './compact.js';
import { limitReached, NoRoom } from './full.js';
import type { ObjectKey } from '../key.js';
import { cacheUnusable } from './layout.js';
import type { Limit } from './limit.js';
import { moveInto, stampInPlace, unlinkIfThere } from './object-files.js';
import type { Place } from './place.js';
import { firstUse, type ObjectRecord, type Statements } from './statements.js';
import { removeRecorded } from './remove.js';
import { isRightInSegment } from './segment-reader.js';
import { stampOf } from './stamp.js';

interface Verified {
  readonly key: ObjectKey;
  readonly size: number;
  readonly sha256: Buffer;
}

/** An object that was verified and written to tmp/. */
export type PreparedFile = Verified & { readonly temporary: string };

/** Likewise a small one, which is written to a segment when it is recorded. */
export type PreparedBytes = Verified & { readonly plain: Buffer };

export type Prepared = PreparedFile | PreparedBytes;

/** Where to, and how much of it. */
export interface Destination {
  readonly place: Pick<Place, 'at' | 'directory'>;
  readonly segments: SegmentStore;
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

/** What is left of an object that was not put anywhere. */
export function discard(object: Prepared): void {
  if ('temporary' in object) unlinkIfThere(object.temporary);
}

/** What an object takes at most on the disk. */
export function chargeOf(object: Prepared): number {
  return 'plain' in object ? object.size : charge(object.size);
}

/**
 * Puts objects in their places and records them. Under the write lock. One error or none for each; NoRoom: the disk has
 * none for small ones.
 */
export function putAll(
  sql: Statements,
  batch: readonly Prepared[],
  to: Destination,
): { readonly results: (Error | undefined)[]; readonly bytes: number } {
  const results = batch.map((object) =>
    'temporary' in object ? putFile(sql, object, to) : undefined,
  );
  putSmall(sql, batch, to, results);
  return { results, bytes: totalOf(sql) };
}

function putFile(sql: Statements, object: PreparedFile, to: Destination): Error | undefined {
  const { place, limit, room, isVolatile } = to;
  const record = sql.get.get(object.key);
  if (record !== undefined && isRight(place.at, object.key, record)) {
    // Another process was quicker.
    unlinkIfThere(object.temporary);
    return undefined;
  }
  if (record !== undefined && record.segment !== null)
    removeRecorded(sql, place.at, { ...record, key: object.key });
  const more = charge(object.size) - (record?.segment === null ? charge(record.size) : 0);
  if (totalOf(sql) + more > room) {
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
  const { key, size, sha256 } = object;
  sql.insert.run(key, size, sha256, stampOf(placed), firstUse(key, isVolatile), null, 0);
  sql.grow.run(more);
  return undefined;
}

/** All small ones by one write. */
function putSmall(
  sql: Statements,
  batch: readonly Prepared[],
  to: Destination,
  results: (Error | undefined)[],
): void {
  const { place, limit, room, isVolatile, segments } = to;
  const chosen: { readonly object: PreparedBytes; readonly index: number }[] = [];
  const keys = new Set<string>();
  let left = room - totalOf(sql);
  batch.forEach((object, index) => {
    if (!('plain' in object) || keys.has(object.key)) return;
    const record = sql.get.get(object.key);
    if (record !== undefined) {
      if (isRight(place.at, object.key, record)) return;
      left += removeRecorded(sql, place.at, { ...record, key: object.key });
    }
    left -= object.size;
    if (left < 0) results[index] = limitReached(place.directory, limit.bytes, limit.byDisk);
    else {
      keys.add(object.key);
      chosen.push({ object, index });
    }
  });
  if (chosen.length === 0) return;
  try {
    const { segment, offsets } = segments.append(
      sql,
      chosen.map(({ object }) => object.plain),
    );
    chosen.forEach(({ object: { key, size, sha256 } }, at) => {
      sql.insert.run(key, size, sha256, '', firstUse(key, isVolatile), segment, offsets[at]);
    });
  } catch (thrown) {
    const error = thrown instanceof NoRoom ? thrown : cacheUnusable(place.directory, thrown);
    for (const { index } of chosen) results[index] = error;
  }
}

/** Whether an object lies where its record says. */
function isRight(at: string, key: ObjectKey, record: ObjectRecord): boolean {
  const { segment } = record;
  if (segment === null) return stampInPlace(at, key) === record.stamp;
  return isRightInSegment(at, { ...record, segment });
}
