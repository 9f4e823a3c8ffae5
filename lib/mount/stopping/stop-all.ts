import type { UnmountMode } from '../../machine/unmount.js';
import { mountType, textOf } from '../../machine/mountinfo.js';
import { currentMounts } from '../../machine/unmount.js';
import { asPinfsError, type PinfsError } from '../../format/errors.js';
import { askControl, findRecords, type FoundMount } from '../control/control.js';
import { isOf } from '../list.js';
import { stopMount, stopRecorded, type Stopped, type StopParts } from './stop.js';

/** What came of one of several mounts. */
export type StopResult = Stopped | { readonly mountpoint: string; readonly error: PinfsError };

/** Ends several mounts, one after another, whatever comes of each. Never rejects. */
export async function stopMounts(
  paths: readonly string[],
  mode: UnmountMode,
  parts: StopParts,
): Promise<readonly StopResult[]> {
  const results: StopResult[] = [];
  for (const path of paths) results.push(await attempt(path, () => stopMount(path, mode, parts)));
  return results;
}

/**
 * Ends all mounts of a user (root: of everyone), the last one first; by force also those that are detached
 * already. None at all is no error.
 */
export async function stopAll(
  mode: UnmountMode,
  parts: StopParts,
  uid: number,
): Promise<readonly StopResult[]> {
  const lines = (await currentMounts()).filter(
    (line) => line.type === mountType && isOf(line, uid),
  );
  const places = lines.map(({ mountpoint }) => textOf(mountpoint)).reverse();
  const results = [...(await stopMounts(places, mode, parts))];
  // What has no place here: detached, or in another mount namespace.
  for (const found of findRecords(parts.directories)) {
    const { mountpoint } = found.record;
    if (!found.detached && places.includes(mountpoint)) continue;
    if (!(await isWanted(found, mode))) continue;
    results.push(await attempt(mountpoint, () => stopRecorded(found, mode, parts.timeoutMs)));
  }
  return results;
}

// For a status (ms).
const statusTimeoutMs = 3000;

async function isWanted(found: FoundMount, mode: UnmountMode): Promise<boolean> {
  const answer = await askControl(found.socket, { command: 'status' }, statusTimeoutMs).catch(
    () => ({ kind: 'silent' }) as const,
  );
  if (answer.kind !== 'answer' || mode === 'force') return answer.kind !== 'dead';
  const { value } = answer;
  const state = typeof value === 'object' && value !== null && 'state' in value && value.state;
  return state === 'running';
}

async function attempt(mountpoint: string, stop: () => Promise<Stopped>): Promise<StopResult> {
  try {
    return await stop();
  } catch (thrown) {
    return { mountpoint, error: asPinfsError(thrown) };
  }
}
