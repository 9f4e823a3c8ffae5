import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import {
  absoluteVariable,
  directoryProblem,
  privateDirectory,
  temporaryCandidates,
} from '../../machine/places.js';

/**
 * The directory of control sockets. Node can't ask a socket who calls (no SO_PEERCRED), so the
 * guard is the directory: 0700, owned by us, no symlink. Only we and root reach what lies in it.
 */

/** Beside the control sockets: in it `pinfs open` mounts, and what lies there is gone with the login. */
export const openedName = 'mounts';

/** What decides where the directory lies; tests hand in their own. */
export interface RuntimeSurroundings {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  /** Who we are outside of our user namespace, where that is another. */
  readonly outerUid?: number | undefined;
}

function processSurroundings(): RuntimeSurroundings {
  return { variables: process.env, uid: process.getuid?.() ?? 0, outerUid: outerUid() };
}

/** From a map of one user, as `unshare -Ur` makes it (user_namespaces(7)). */
function outerUid(): number | undefined {
  try {
    const [inner, outer, count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
    return inner === '0' && count === '1' && outer !== '0' ? Number(outer) : undefined;
  } catch {
    return undefined;
  }
}

/** sun_path holds 107 bytes and a NUL (unix(7)); macOS three or four fewer. */
const socketPathBytesMax = 103;

/** `/HASH.sock`: 16 digits, and what is around them. */
const socketNameBytes = 22;

/**
 * Places for the directory, best first. Root has one place whatever its login looks like, since a
 * mount from fstab must be found from a shell. A user's cron job has no XDG_RUNTIME_DIR, so the
 * usual place of it is tried as well.
 */
export function runtimeCandidates(surroundings: RuntimeSurroundings): readonly string[] {
  const { variables, uid, outerUid } = surroundings;
  const given = absoluteVariable(variables, 'XDG_RUNTIME_DIR');
  const places = [
    ...(uid === 0 ? ['/run/pinfs'] : []),
    ...(given !== undefined ? [join(given, 'pinfs')] : []),
    ...(uid === 0 ? [] : [`/run/user/${uid}/pinfs`]),
    // In `unshare -Ur` everybody is root: each has a place of his own all the same.
    ...(outerUid === undefined ? [] : temporaryCandidates(variables, outerUid)),
    ...temporaryCandidates(variables, uid),
  ];
  const fitting = places.filter(
    (place) => Buffer.byteLength(place) + socketNameBytes <= socketPathBytesMax,
  );
  return [...new Set(fitting)];
}

/** Makes the first usable place. @throws PinfsError STATE_UNUSABLE, naming what is wrong with each. */
export function ensureRuntimeDirectory(places: readonly string[], uid: number): string {
  const { place, problems } = privateDirectory(places, uid);
  if (place !== undefined) return place;
  throw new PinfsError(
    'STATE_UNUSABLE',
    `no place for the control socket (${problems.join('; ')})`,
    { advice: 'Set XDG_RUNTIME_DIR to a directory of your own with mode 0700.' },
  );
}

/** Those places that exist and are safe to look into. */
export function safeDirectories(places: readonly string[], uid: number): readonly string[] {
  return places.filter((place) => directoryProblem(place, uid) === undefined);
}

/** Where this process may find control sockets. */
export function runtimeDirectories(): readonly string[] {
  const surroundings = processSurroundings();
  return safeDirectories(runtimeCandidates(surroundings), surroundings.uid);
}

/** Where this process puts its own control socket. @throws PinfsError STATE_UNUSABLE */
export function ownRuntimeDirectory(): string {
  const surroundings = processSurroundings();
  return ensureRuntimeDirectory(runtimeCandidates(surroundings), surroundings.uid);
}

/** Name of the files of one mount: the same for the same mountpoint, whatever is in it. */
export function mountName(mountpoint: string): string {
  return createHash('sha256').update(mountpoint).digest('hex').slice(0, 16);
}
