import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readdirSync, writevSync } from 'node:fs';
import { makeDirectory } from '../../files/make.js';
import { removeEntry } from '../../files/regular.js';
import { errorCode } from '../../format/errno.js';
import { withFiles } from '../../machine/file-budget.js';
import { NoRoom } from './full.js';
import { isFull } from './room.js';

/**
 * Small objects lie one behind the other in files that are only ever appended to: a file for each costs more than all the
 * rest of fetching it. Each store writes to a segment of its own, under the write lock of the records, and begins another
 * one when it is full; all read from all. What was written is never changed, and a name is never used again, so that a
 * reader who comes late finds the right bytes or no file. Nothing in a segment is believed: its objects are hashed at each
 * read (segment-reader.ts). An object that goes leaves a gap; a segment without objects is removed, and one that is
 * mostly gaps has what is left moved (compact.ts).
 */

// A write takes no more buffers (IOV_MAX).
const buffersAtOnceMax = 1024;

/** Where a segment lies; `at` is the cache directory. */
export function segmentFile(at: string, name: string): string {
  return `${at}/segments/${name}`;
}

const nameForm = /^[0-9a-f]{16}$/;

/** A name from a record names a file only if it has the form of one. */
export function isSegmentName(name: string): boolean {
  return nameForm.test(name);
}

/** Removes the file of a segment. */
export function removeSegmentFile(at: string, name: string): void {
  if (isSegmentName(name)) removeEntry(segmentFile(at, name));
}

/** The names in the folder of segments, whatever they are; none if it isn't there. */
export function listSegments(at: string): string[] {
  try {
    return readdirSync(`${at}/segments`);
  } catch {
    return [];
  }
}

/** The segment that a store writes to. */
export interface SegmentWriter {
  /**
   * Appends objects. @param isKnown whether a segment is still in the records.
   * @returns the segment, its length before and behind, and where each object begins.
   * @throws NoRoom; errors of the file system.
   */
  append(
    at: string,
    objects: readonly Buffer[],
    lengthMax: number,
    isKnown: (name: string) => boolean,
  ): Appended;
  /** Begins another one next, if this is the one that is written to. */
  leave(name: string): void;
  close(): void;
}

export interface Appended {
  readonly name: string;
  readonly before: number;
  readonly length: number;
  readonly offsets: readonly number[];
}

interface Current {
  readonly at: string;
  readonly name: string;
  readonly fd: number;
  length: number;
}

export function openSegmentWriter(): SegmentWriter {
  let current: Current | undefined;

  function close(): void {
    if (current !== undefined) closeSync(current.fd);
    current = undefined;
  }

  function writable(at: string, lengthMax: number, isKnown: (name: string) => boolean): Current {
    // It may have been removed with all that was in it; or the cache was lost, and goes on in another place.
    const goesOn =
      current?.at === at &&
      current.length < lengthMax &&
      isKnown(current.name) &&
      fstatSync(current.fd).nlink > 0;
    if (current !== undefined && goesOn) return current;
    if (current?.at === at && !isKnown(current.name)) removeSegmentFile(at, current.name);
    close();
    const name = randomBytes(8).toString('hex');
    return (current = { at, name, fd: openNewSegment(at, name), length: 0 });
  }

  return {
    append(at, objects, lengthMax, isKnown) {
      const bytes = objects.reduce((sum, object) => sum + object.length, 0);
      if (isFull(at, bytes)) throw new NoRoom(bytes, false);
      const segment = writable(at, lengthMax, isKnown);
      const before = segment.length;
      const offsets: number[] = [];
      try {
        let end = before;
        for (const object of objects) {
          offsets.push(end);
          end += object.length;
        }
        writeAll(segment.fd, objects, before);
        segment.length = end;
      } catch (thrown) {
        // What was written of it stays behind the end, and is written over.
        const code = errorCode(thrown);
        throw code === 'ENOSPC' || code === 'EDQUOT' ? new NoRoom(bytes, true) : thrown;
      }
      return { name: segment.name, before, length: segment.length, offsets };
    },
    leave(name) {
      if (current?.name === name) close();
    },
    close,
  };
}

function openNewSegment(at: string, name: string): number {
  const open = (): number => withFiles(() => openSync(segmentFile(at, name), 'wx', 0o644));
  try {
    return open();
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
    makeDirectory(`${at}/segments`);
    return open();
  }
}

function writeAll(fd: number, buffers: readonly Buffer[], position: number): void {
  let at = position;
  for (let rest = buffers.filter(({ length }) => length > 0); rest.length > 0;) {
    let written = writevSync(fd, rest.slice(0, buffersAtOnceMax), at);
    at += written;
    const left: Buffer[] = [];
    for (const buffer of rest) {
      if (written < buffer.length) left.push(buffer.subarray(written));
      written = Math.max(0, written - buffer.length);
    }
    rest = left;
  }
}
