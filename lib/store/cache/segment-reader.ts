import { smallObjectBytesMax } from '../../eviction/amounts.js';
import { closeSync, fstatSync } from 'node:fs';
import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { openOurs } from '../../files/regular.js';
import { givesBackFiles, withFiles } from '../../machine/file-budget.js';
import { readFully } from './read-fully.js';
import { isSegmentName, segmentFile } from './segments.js';

/** Where an object lies in a segment, and what it is. */
export interface Located {
  readonly size: number;
  readonly sha256: Buffer;
  readonly segment: string;
  readonly place: number;
}

/** Reads objects of segments, each of which is hashed each time: a segment has no time at which all of it was checked. */
export interface SegmentReader {
  /**
   * All plain bytes of an object, good until the next call.
   * @returns missing: there is no such segment any more; damaged: it has other bytes there.
   */
  read(object: Located): Buffer | 'missing' | 'damaged';
  /** Reads an object, if it is there, so that `read` has it if it is the next one. */
  prepare(object: Located): void;
  /** Whether there is a segment that is long enough; nothing is read. */
  reaches(object: Located): boolean;
  /** Closes those that were removed, so that their room is free. */
  letRemovedGo(): void;
  closeAll(): void;
}

const segmentsOpenMax = 64;

/** @param at leads to the cache directory that is held now. @param fileLimit files that are kept open at most. */
export function openSegmentReader(at: () => string, fileLimit: number): SegmentReader {
  const scratch = Buffer.allocUnsafe(smallObjectBytesMax);
  // What lies in it already, for the next read.
  let ready: Located | undefined;
  const files = new LRUCache<string, number>({
    max: Math.max(2, Math.min(segmentsOpenMax, Math.floor(fileLimit / 4))),
    dispose: (fd) => closeSync(fd),
  });
  const forgetGiver = givesBackFiles(() => files.pop() !== undefined);

  function letRemovedGo(): void {
    for (const [path, fd] of [...files]) if (fstatSync(fd).nlink === 0) files.delete(path);
  }

  function open(name: string): number | undefined {
    const path = segmentFile(at(), name);
    const known = files.get(path);
    if (known !== undefined) return known;
    if (!isSegmentName(name)) return undefined;
    const file = withFiles(() => openOurs(path));
    if (typeof file === 'string') return undefined;
    letRemovedGo();
    files.set(path, file.fd);
    return file.fd;
  }

  function read(object: Located): Buffer | 'missing' | 'damaged' {
    const { size, sha256, segment, place } = object;
    const isReady = ready?.sha256.equals(sha256) === true && ready.size === size;
    ready = undefined;
    if (isReady) return scratch.subarray(0, size);
    // A record may be damaged as well.
    if (size > scratch.length) return 'damaged';
    const fd = open(segment);
    if (fd === undefined) return 'missing';
    const bytes = scratch.subarray(0, size);
    if (readFully(fd, bytes, 0, size, place) !== size) return 'damaged';
    return hash('sha256', bytes, 'buffer').equals(sha256) ? bytes : 'damaged';
  }

  return {
    read,
    prepare(object) {
      if (typeof read(object) !== 'string') ready = object;
    },
    reaches({ segment, place, size }) {
      const fd = open(segment);
      return fd !== undefined && fstatSync(fd).size >= place + size;
    },
    letRemovedGo,
    closeAll() {
      forgetGiver();
      files.clear();
    },
  };
}

/** Reads one object of a segment that isn't kept open. */
export function readFromSegment(at: string, object: Located): Buffer | 'missing' | 'damaged' {
  const reader = openSegmentReader(() => at, 0);
  try {
    return reader.read(object);
  } finally {
    reader.closeAll();
  }
}

/** Whether an object lies where it should. */
export function isRightInSegment(at: string, object: Located): boolean {
  return typeof readFromSegment(at, object) !== 'string';
}
