import { closeSync, fstatSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import { givesBackFiles } from '../../machine/file-budget.js';
import type { ObjectKey } from '../key.js';
import type { Located } from './segment-reader.js';

interface KnownObject {
  readonly key: ObjectKey;
  /** Of its record. */
  readonly id: number;
  readonly size: number;
  readonly sha256: Buffer;
  used: number;
  saved: number;
}

/** An object whose file is open and was checked. */
export interface OpenFile extends KnownObject {
  readonly kind: 'file';
  readonly fd: number;
  /** By what it is known as the file that was checked, and when (µs, as `tick`) that was looked at. */
  stamp: string;
  looked: number;
}

/** A small object of which it is known where it lies; it is checked when it is read. */
export interface FoundInSegment extends KnownObject, Located {
  readonly kind: 'segment';
}

export type OpenObject = OpenFile | FoundInSegment;

/** The objects that a shelf keeps open, and when they were used. */
export interface OpenObjects {
  get(key: string): OpenObject | undefined;
  has(key: string): boolean;
  add(object: OpenObject): void;
  /** Closes one, so that its room is free if it was removed. */
  close(key: string): void;
  /** Closes those that others evicted, unless that was done less than `interval` ago (ms). */
  letEvictedGo(interval: number): void;
  /** Times of use (µs, as `tick`) since the last call, by id of the record. */
  takeUses(): Map<number, number>;
  /** Notes a use (µs). */
  use(object: OpenObject, used: number): void;
  /** As `takeUses`, in the time of those that there were. */
  takeRecentUses(): Map<number, number>;
  /** Takes back what could not be saved, or what was used elsewhere. */
  putUsesBack(uses: ReadonlyMap<number, number>): void;
  /** Whether the times of use should be saved now. */
  usesAreDue(): boolean;
  closeAll(): void;
}

// A file that is open takes room even when it was evicted: large ones count for as many as they have MiB.
const weightUnit = 1024 * 1024;
// So many places in segments, which need no descriptor, count as one file.
const placesPerFile = 16;
// After so many openings, and not before so long (ms), those that others evicted are looked for and let go.
const opensBetweenLooks = 64;
const timeBetweenLooks = 500;
const usesKept = 1024;
const usesSavedAfter = 60_000;

/** When objects were used, as far as it is not yet saved. */
function openNotedUses() {
  let uses = new Map<number, number>();
  // Used since they were looked at for that.
  const recent = new Set<OpenObject>();
  let lastSaved = Date.now();

  function note(object: OpenObject): void {
    if (object.used > object.saved) uses.set(object.id, object.used);
    object.saved = object.used;
  }

  return {
    use(object: OpenObject, used: number): void {
      object.used = used;
      recent.add(object);
    },
    closed(object: OpenObject): void {
      note(object);
      recent.delete(object);
    },
    take(objects: Iterable<OpenObject> = recent): Map<number, number> {
      for (const object of objects) note(object);
      const taken = uses;
      uses = new Map();
      recent.clear();
      lastSaved = Date.now();
      return taken;
    },
    putBack(others: ReadonlyMap<number, number>): void {
      for (const [id, used] of others) uses.set(id, Math.max(used, uses.get(id) ?? used));
    },
    areDue: () => uses.size >= usesKept || Date.now() - lastSaved > usesSavedAfter,
  };
}

/** @param fileLimit files that are kept open at most. */
export function openObjects(fileLimit: number): OpenObjects {
  const uses = openNotedUses();
  let opens = 0;
  let lastLook = 0;
  const most = Math.max(2, fileLimit);
  const heaviest = Math.min(64, Math.floor(most / 2));
  const files = new LRUCache<string, OpenObject>({
    maxSize: most * placesPerFile,
    sizeCalculation: ({ kind, size }) =>
      kind === 'segment'
        ? 1
        : placesPerFile * Math.min(heaviest, 1 + Math.floor(size / weightUnit)),
    dispose: (object) => {
      uses.closed(object);
      if (object.kind === 'file') closeSync(object.fd);
    },
  });
  const forgetGiver = givesBackFiles(giveBack);

  function giveBack(): boolean {
    for (let object = files.pop(); object !== undefined; object = files.pop())
      if (object.kind === 'file') return true;
    return false;
  }

  function letEvictedGo(interval: number): void {
    const now = performance.now();
    if (now - lastLook < interval) return;
    lastLook = now;
    for (const object of [...files.values()]) {
      if (object.kind === 'file' && fstatSync(object.fd).nlink === 0) files.delete(object.key);
    }
  }

  return {
    get: (key) => files.get(key),
    has: (key) => files.has(key),
    add(object) {
      if (++opens % opensBetweenLooks === 0) letEvictedGo(timeBetweenLooks);
      files.set(object.key, object);
    },
    close: (key) => void files.delete(key),
    letEvictedGo,
    takeUses: () => uses.take(files.values()),
    use: (object, used) => {
      uses.use(object, used);
    },
    takeRecentUses: () => uses.take(),
    putUsesBack: (others) => {
      uses.putBack(others);
    },
    usesAreDue: () => uses.areDue(),
    closeAll() {
      forgetGiver();
      files.clear();
    },
  };
}

/** Neighbours by id lie on the same page. */
export function inOrder(uses: ReadonlyMap<number, number>): [number, number][] {
  return [...uses].sort((a, b) => a[0] - b[0]);
}
