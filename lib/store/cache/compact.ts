import { segmentCharge } from '../../eviction/amounts.js';
import { closeSync } from 'node:fs';
import { openOurs } from '../../files/regular.js';
import { withFiles } from '../../machine/file-budget.js';
import { NoRoom } from './full.js';
import { readFully } from './read-fully.js';
import type { Statements } from './statements.js';
import { removeSegment } from './remove.js';
import { segmentFile, type SegmentWriter } from './segments.js';

/** Writes to segments and records that. */
export interface SegmentStore {
  /** @returns by how many bytes the cache grew, and where each object lies. @throws NoRoom */
  append(
    sql: Statements,
    objects: readonly Buffer[],
  ): { readonly grown: number; readonly segment: string; readonly offsets: readonly number[] };
  /** Moves what is left in segments that are mostly gaps. @returns bytes of the disk that are free now. */
  compact(sql: Statements): number;
  close(): void;
}

/** @param at leads to the cache directory that is held now. @param lengthMax of a segment (bytes). */
export function openSegmentStore(
  writer: SegmentWriter,
  at: () => string,
  lengthMax: () => number,
): SegmentStore {
  function append(sql: Statements, objects: readonly Buffer[]) {
    const isKnown = (name: string): boolean => sql.segment.get(name) !== undefined;
    const { name, before, length, offsets } = writer.append(at(), objects, lengthMax(), isKnown);
    // What a transaction that failed wrote counts as well.
    const grown = segmentCharge(length) - (sql.segment.get(name)?.bytes ?? 0);
    sql.segmentGrown.run(name, segmentCharge(length), length - before);
    sql.grow.run(grown);
    return { grown, segment: name, offsets };
  }

  function compact(sql: Statements): number {
    return sql.gappySegments.all().reduce((sum, name) => sum + moveOut(sql, name), 0);
  }

  function moveOut(sql: Statements, name: string): number {
    const bytes = sql.segment.get(name)?.bytes ?? 0;
    writer.leave(name);
    const left = sql.ofSegment.all(name);
    const objects = readAll(segmentFile(at(), name), left);
    // What can't be read is found out when it is asked for.
    if (objects === undefined) return 0;
    try {
      const { grown, segment, offsets } = append(sql, objects);
      left.forEach(({ id }, index) => sql.move.run(segment, offsets[index], id));
      return removeSegment(sql, at(), name, bytes) - grown;
    } catch (thrown) {
      // Then it has to wait until all of it may go.
      if (thrown instanceof NoRoom) return 0;
      throw thrown;
    }
  }

  return { append, compact, close: () => writer.close() };
}

function readAll(
  path: string,
  objects: readonly { readonly size: number; readonly place: number }[],
): Buffer[] | undefined {
  const file = withFiles(() => openOurs(path));
  if (typeof file === 'string') return undefined;
  try {
    return objects.map(({ size, place }) => {
      const bytes = Buffer.alloc(size);
      readFully(file.fd, bytes, 0, size, place);
      return bytes;
    });
  } finally {
    closeSync(file.fd);
  }
}
