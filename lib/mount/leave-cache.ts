import { askMount } from './ask.js';
import { decoder } from '../format/schema.js';
import { PinfsError } from '../format/errors.js';

// It waits for what is on its way (session/leave-cache.ts).
const leaveTimeoutMs = 30_000;

/**
 * Has the mount at a directory let go of its cache. @returns the directory of the cache
 * @throws PinfsError NOT_MOUNTED, MOUNT_BUSY (its process does not answer, or something stays open)
 */
export async function leaveCacheOf(
  mountpoint: string,
  directories: readonly string[],
): Promise<string> {
  const value = await askMount(mountpoint, { command: 'leave-cache' }, leaveTimeoutMs, directories);
  const left = readLeft(value);
  if (left !== undefined) return left.cache;
  throw new PinfsError('INTERNAL', 'the process of the mount gave an answer that is none');
}

const readLeft = decoder((v) => v.object({ cache: v.string() }));
