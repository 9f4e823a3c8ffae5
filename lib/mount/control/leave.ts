import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Mounted } from '../../drivers/driver.js';
import type { UnmountMode } from '../../machine/unmount.js';
import { namesOfHolders } from '../../machine/holders.js';
import { parseMountinfo, mountpointOf } from '../../machine/mountinfo.js';
import { fromText, printable, printableText } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { decoder } from '../../format/schema.js';

/** How a mount is left while somebody may still be in it. */

/** What came of an unmount: the process ends with its mount, or serves on for those who still hold it. */
export interface Unmounted {
  readonly ended: boolean;
  /** Who holds it, where somebody does and can be seen. */
  readonly holders?: string | undefined;
  /** The process lives on, for other mounts. */
  readonly goesOn?: boolean | undefined;
}

/** How each mode is called in the log. */
export const unmountWords: Readonly<Record<UnmountMode, string>> = {
  orderly: '',
  lazy: ' lazily',
  force: ' by force',
};

/** Out of its place, by whatever hand, while somebody still holds it. Asks the mount table alone. */
export function isDetached({ line }: Pick<Mounted, 'line'>): boolean {
  return line !== undefined && placeNow({ line }) === undefined;
}

/** Where it really lies: whoever owns a directory above it can rename that. Asks the mount table alone. */
export function placeNow({ line }: Pick<Mounted, 'line'>): string | undefined {
  if (line === undefined) return undefined;
  return mountpointOf(parseMountinfo(readFileSync('/proc/self/mountinfo', 'latin1')), line);
}

/**
 * Unmounts, and says whether that was the end of it.
 * @param ended whether the mount is gone by now.
 * @throws PinfsError MOUNT_BUSY: in use, and asked in order; also when it is detached already.
 */
export async function leaveMount(
  mountpoint: string,
  mounted: Mounted,
  mode: UnmountMode,
  ended: () => boolean,
): Promise<Unmounted> {
  const before = isDetached(mounted);
  if (before && mode !== 'force') await soon(mounted.ended);
  else await mounted.unmount(mode);
  if (ended()) return { ended: true };
  const device = mounted.line?.device;
  const holders =
    device === undefined ? undefined : await namesOfHolders({ device, place: undefined });
  if (before && mode === 'orderly') throw stillHeld(mountpoint, holders);
  return { ended: ended(), holders };
}

// The end of a mount that nobody holds any more is noticed at once (ms).
const endTimeoutMs = 300;

async function soon(ended: Promise<unknown>): Promise<void> {
  await Promise.race([ended, wait(endTimeoutMs)]);
}

const unmounted = decoder((v) =>
  v.object({
    ended: v.boolean(),
    holders: v.fallback(v.optional(v.string()), undefined),
    goesOn: v.fallback(v.optional(v.boolean()), undefined),
  }),
);

/** An answer of a mount's process. One of 0.1.0 says nothing: then its end tells. */
export function readUnmounted(value: unknown): Unmounted {
  return unmounted(value) ?? { ended: false };
}

function stillHeld(mountpoint: string, holders: string | undefined): PinfsError {
  const path = printable(fromText(mountpoint));
  return new PinfsError('MOUNT_BUSY', `${path} is detached already, and held ${heldBy(holders)}`, {
    advice: `It ends when they let go, or at once: pinfs umount --force ${path}`,
  });
}

/** `by 12 (sh: working directory)`, or that nobody is seen. */
function heldBy(holders: string | undefined): string {
  return holders === undefined ? "by somebody who can't be seen" : `by ${printableText(holders)}`;
}
