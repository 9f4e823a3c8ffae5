import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { machineFault, PinfsError } from '../format/errors.js';

/**
 * A mountpoint that was checked, and is held by its descriptor from then on: whoever owns a directory above it
 * can put another one, or a link, in its place at any moment.
 */
export interface HeldPlace {
  readonly descriptor: number;
  /** Leads to it in this process, whatever its path becomes. */
  readonly at: string;
  /** Its path by now; of no file system is anything asked. */
  now(): string;
  close(): void;
}

// Not in Node's constants. With it nothing is opened that could wait, and with no O_DIRECTORY no automount is called for.
export const O_PATH = 0o10000000;

/**
 * Holds a directory by its path without links. Linux only.
 * @throws PinfsError FILES_EXHAUSTED; MOUNTPOINT_UNUSABLE: missing, no directory, or reached by a link.
 */
export function holdPlace(path: string): HeldPlace {
  let place: HeldPlace | undefined;
  try {
    place = takePlace(openSync(path, O_PATH | constants.O_NOFOLLOW));
    if (place.now() === path && fstatSync(place.descriptor).isDirectory()) return place;
  } catch (thrown) {
    place?.close();
    throw machineFault(thrown) ?? movedAway(path, thrown);
  }
  place.close();
  throw movedAway(path);
}

/** One that is held already, as by the process that started this one. */
export function takePlace(descriptor: number): HeldPlace {
  const at = `/proc/self/fd/${descriptor}`;
  let isOpen = true;
  return {
    descriptor,
    at,
    now: () => readlinkSync(at),
    close() {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}

export function movedAway(path: string, cause?: unknown): PinfsError {
  return new PinfsError('MOUNTPOINT_UNUSABLE', `${path} is not the directory that was checked`, {
    advice: 'Somebody put another one in its place: mount where nobody else may do that.',
    cause,
  });
}
