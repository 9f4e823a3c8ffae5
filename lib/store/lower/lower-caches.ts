import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError } from '../../format/errors.js';
import { openLowerReader, type LowerReader } from '../cache/lower.js';
import { objectFile } from '../cache/layout.js';
import { wantKey, type Want } from '../want.js';
import type { Copied } from './checked-copy.js';
import { openCopier, type Copier } from './copier.js';

/** Caches that are only read, the first one first. */
export interface LowerCaches {
  /** Copies an object to a new file, once it is known to be right; undefined: none has it. */
  copy(want: Want, target: string): Promise<Copied | undefined>;
  /** Whether one of them seems to have it: what is there is checked when it is copied. @param beside as `target` */
  has(want: Want, beside: string): boolean;
  close(): Promise<void>;
}

// One that others fill is looked at again for what came since, not before so long (ms).
const lookIntervalMs = 30_000;

/** @param own the own cache, where it can only be read. @returns undefined: there are none. */
export function openLowerCaches(
  directories: readonly string[],
  own: LowerReader | undefined,
): LowerCaches | undefined {
  const copier = openCopier();
  const caches = directories.map((directory) => openOne(resolve(directory), copier));
  if (own !== undefined) caches.unshift(ownCache(own));
  if (caches.length === 0) return undefined;
  return {
    async copy(want, target) {
      for (const cache of caches) {
        const copied = await cache.copy(want, target);
        if (copied !== undefined) return copied;
      }
      return undefined;
    },
    has: (want, beside) => caches.some((cache) => cache.has(want, beside)),
    async close() {
      await copier.close();
      for (const cache of caches) await cache.close();
    },
  };
}

/** The own cache before those below it, where it can only be read from now on. */
export function withOwn(own: LowerReader, below: LowerCaches | undefined): LowerCaches {
  const first = ownCache(own);
  return {
    copy: async (want, target) =>
      (await first.copy(want, target)) ?? (await below?.copy(want, target)),
    has: (want, beside) => first.has(want, beside) || below?.has(want, beside) === true,
    async close() {
      await first.close();
      await below?.close();
    },
  };
}

function ownCache(own: LowerReader): LowerCaches {
  return {
    copy: (want, target) => Promise.resolve(own.copy(wantKey(want), target)),
    has: (want, beside) => own.has(wantKey(want), beside),
    close: () => {
      own.close();
      return Promise.resolve();
    },
  };
}

/** By its records, where they are of somebody whom we believe; else by the content hash. */
function openOne(directory: string, copier: Copier): LowerCaches {
  let reader = openReader(directory);
  let lookedMs = performance.now();
  const copyByRecords = (want: Want, target: string): Copied | undefined => {
    const copied = reader?.copy(wantKey(want), target);
    if (copied !== undefined || performance.now() - lookedMs < lookIntervalMs) return copied;
    lookedMs = performance.now();
    reader?.close();
    reader = openReader(directory);
    return reader?.copy(wantKey(want), target);
  };
  return {
    async copy(want, target) {
      // The content hash of an external file is taken over its plain bytes, and of its pieces each for itself.
      if (reader !== undefined) return copyByRecords(want, target);
      const { object, compression, size } = want;
      const paths = filesOf(directory, want);
      const promised = { hash: object.hash, compression, size };
      return copier.copy({ paths, directory, key: wantKey(want), promised, target });
    },
    has(want, beside) {
      if (reader !== undefined) return reader.has(wantKey(want), beside);
      return filesOf(directory, want).some((path) => existsSync(path));
    },
    close: () => {
      reader?.close();
      return Promise.resolve();
    },
  };
}

/** @returns undefined where it is none of pinfs that can be believed. */
function openReader(directory: string): LowerReader | undefined {
  try {
    return openLowerReader(directory);
  } catch {
    // Another user's, or in the reach of others.
    return undefined;
  }
}

function filesOf(directory: string, want: Want): string[] {
  return [fileOfReference(directory, want), objectFile(directory, wantKey(want))];
}

/** The layout of the reference (docs/format.md, 9.5): plain bytes, by the hash alone. */
function fileOfReference(directory: string, { object }: Want): string {
  const { text } = object.hash;
  return join(directory, text.slice(0, 2), text.slice(2));
}

/** Refuses what is no directory: a mistake in its name would show in nothing but time. @throws PinfsError USAGE */
export function checkLowerCaches(directories: readonly string[]): void {
  for (const directory of directories) {
    try {
      if (statSync(directory).isDirectory()) continue;
    } catch (thrown) {
      throw new PinfsError('USAGE', `--cache-lower ${directory}: ${fileFault(thrown, 'read').why}`);
    }
    throw new PinfsError('USAGE', `--cache-lower ${directory} is no directory`);
  }
}
