import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { processToken } from '../../machine/process-token.js';
import { livingOwners } from './owners.js';
import { freeBytes } from './room.js';

/**
 * Where the spare of a cache may lie (spare.ts): a directory for each process and cache, with a name that
 * every thread of the process finds by itself, and that nobody else can guess and take. Only one that is ours, and nobody
 * else's, counts.
 */
const prefix = (): string => `pinfs-spare-${process.geteuid?.() ?? 0}-`;

// One that was just made may have no owner yet.
const ageMsMin = 60_000;

/** Places in memory or for what is temporary. */
const allPlaces = [...new Set(['/dev/shm', tmpdir()])];

/** Those where nobody can put his directory in the place of ours. */
function places(): string[] {
  return allPlaces.filter(isSafe);
}

function isSafe(place: string): boolean {
  const status = statSync(place, { throwIfNoEntry: false });
  if (status === undefined) return false;
  const othersMayWrite = (status.mode & 0o022) !== 0;
  const isSticky = (status.mode & 0o1000) !== 0;
  return (status.uid === 0 || isOurs(status.uid)) && (!othersMayWrite || isSticky);
}

function isOurs(uid: number): boolean {
  return uid === (process.geteuid?.() ?? uid);
}

const names = new Map<string, string>();

/** It is asked for at every miss. */
function nameFor(cache: string): string {
  const known = names.get(cache) ?? makeName(cache);
  names.set(cache, known);
  return known;
}

function makeName(cache: string): string {
  const digest = createHash('sha256').update(cache).digest('hex').slice(0, 12);
  return `${prefix()}${processToken()}-${digest}`;
}

function isPrivate(directory: string): boolean {
  const status = lstatSync(directory, { throwIfNoEntry: false });
  return status?.isDirectory() === true && isOurs(status.uid) && (status.mode & 0o077) === 0;
}

/** The spare's directory of a cache, if this process has made it. */
export function findSpareDirectory(cache: string): string | undefined {
  const name = nameFor(cache);
  return allPlaces
    .map((place) => join(place, name))
    .find((directory) => isPrivate(directory) && isSafe(dirname(directory)));
}

/** Makes it, where there is most room. @returns undefined where there is no place for it. */
export function makeSpareDirectory(cache: string): string | undefined {
  const found = findSpareDirectory(cache);
  if (found !== undefined) return found;
  const most = places().sort((one, other) => freeBytes(other) - freeBytes(one));
  for (const place of most) {
    const directory = join(place, nameFor(cache));
    try {
      mkdirSync(directory, { mode: 0o700 });
      return directory;
    } catch {
      // Another place may do.
    }
  }
  return undefined;
}

/** Removes a spare's directory, unless another store of this process uses it. */
export function removeSpareDirectory(directory: string): void {
  if (livingOwners(directory).size === 0) rmSync(directory, { recursive: true, force: true });
}

/** Removes what processes left that died: it may take memory. Never throws. */
export function sweepSpareDirectories(): void {
  for (const place of places()) {
    try {
      const names = readdirSync(place).filter((name) => name.startsWith(prefix()));
      for (const directory of names.map((name) => join(place, name))) {
        const isOld = Date.now() - lstatSync(directory).mtimeMs > ageMsMin;
        if (isOld && isPrivate(directory)) removeSpareDirectory(directory);
      }
    } catch {
      // Another time.
    }
  }
}
