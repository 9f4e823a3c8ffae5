import { charge } from '../../eviction/amounts.js';
import { removeObject } from './object-files.js';
import type { Statements } from './statements.js';
import { removeSegmentFile } from './segments.js';

/** What has to be known of an object to take it out. */
export interface Removable {
  readonly id: number;
  readonly key: string;
  readonly size: number;
  /** Where it lies among others; null: in a file of its own. */
  readonly segment: string | null;
}

/**
 * Takes an object out, its record and its bytes; under the write lock. In a segment it leaves a gap, and with the last
 * object the segment goes.
 * @returns bytes of the disk that are free now.
 */
export function removeRecorded(sql: Statements, at: string, object: Removable): number {
  const { id, key, size, segment } = object;
  sql.remove.run(id);
  if (segment !== null) {
    sql.segmentLost.run(size, segment);
    return removeIfEmpty(sql, at, segment);
  }
  removeObject(at, key);
  sql.grow.run(-charge(size));
  return charge(size);
}

function removeIfEmpty(sql: Statements, at: string, name: string): number {
  const segment = sql.segment.get(name);
  if (segment === undefined || segment.live > 0 || sql.inSegment.get(name) !== undefined) return 0;
  return removeSegment(sql, at, name, segment.bytes);
}

/** Removes a segment in which nothing is left. @returns bytes of the disk that are free now. */
export function removeSegment(sql: Statements, at: string, name: string, bytes: number): number {
  sql.removeSegment.run(name);
  removeSegmentFile(at, name);
  sql.grow.run(-bytes);
  return bytes;
}
