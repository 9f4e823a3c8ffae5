import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError } from '../../format/errors.js';
import {
  absoluteVariable,
  directoryProblem,
  homeDirectory,
  privateDirectory,
  type Variables,
} from '../../machine/places.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import { openedName } from '../control/runtime.js';

/** Where `pinfs open` mounts, and how it calls what it mounts. */

/** Where snapshots may have been opened: also the place that a login without XDG_RUNTIME_DIR had. */
export function openedDirectories(variables: Variables): readonly string[] {
  const runtime = absoluteVariable(variables, 'XDG_RUNTIME_DIR');
  const home = homeDirectory(variables);
  const places = [
    ...(runtime === undefined ? [] : [join(runtime, 'pinfs', openedName)]),
    ...(home === undefined ? [] : [join(home, 'pinfs')]),
  ];
  return places.map(realOr);
}

function realOr(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // it is not there yet
  }
}

/** Makes the directory in which snapshots are opened now. @throws PinfsError MOUNTPOINT_UNUSABLE */
export function makeOpenedDirectory(variables: Variables, uid: number): string {
  const runtime = absoluteVariable(variables, 'XDG_RUNTIME_DIR');
  if (runtime !== undefined && directoryProblem(runtime, uid) === undefined) {
    const { place } = privateDirectory([join(runtime, 'pinfs')], uid);
    const inside = place && privateDirectory([join(place, openedName)], uid).place;
    if (inside !== undefined) return realOr(inside);
  }
  const home = homeDirectory(variables);
  const advice =
    'Set XDG_RUNTIME_DIR or HOME to a directory of your own, or mount it yourself: pinfs mount SOURCE DIR';
  if (home === undefined)
    throw new PinfsError('MOUNTPOINT_UNUSABLE', 'there is no place to open it in', { advice });
  return makeIn(join(home, 'pinfs'), advice);
}

/** Makes a directory for a mount below those. @throws PinfsError MOUNTPOINT_UNUSABLE */
export function makeIn(path: string, advice: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return realOr(path);
  } catch (thrown) {
    throw new PinfsError(
      'MOUNTPOINT_UNUSABLE',
      `can't make ${path}: ${fileFault(thrown, 'write').why}`,
      {
        advice,
      },
    );
  }
}

// NAME_MAX is 255 bytes; a hash may come behind it.
const nameLengthMax = 200;
const shortHashLength = 8;

/** Names for a snapshot, the best first: what a file manager shows. `fqrn@tag`, or with the hash where it has none. */
export function namesFor(
  fqrn: string,
  { tag, rootHash }: Pick<Verdict, 'tag' | 'rootHash'>,
  pinned: boolean,
): readonly [string, ...string[]] {
  const hash = rootHash?.slice(0, shortHashLength) ?? 'snapshot';
  const label = pinned ? (tag ?? hash) : 'HEAD';
  const name = plain(`${fqrn}@${label}`).slice(0, nameLengthMax);
  return [
    name,
    `${name}-${pinned ? hash : 'other'}`,
    ...(rootHash ? [`${plain(fqrn).slice(0, nameLengthMax / 2)}@${rootHash}`] : []),
  ];
}

/** A tag is what a publisher likes: no slash, no control character, nothing hidden. */
function plain(text: string): string {
  return text.replace(/[^A-Za-z0-9@._+-]/g, '_').replace(/^[.-]/, '_');
}
