import { findMount, mountType, textOf, type MountLine } from '../machine/mountinfo.js';
import { currentMounts } from '../machine/unmount.js';
import { fromText, printable } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';
import { splitSourcePin } from '../source/source-pin.js';
import { askControl, findRecords, type MountRecord } from './control/control.js';
import type { TranslatedOptions } from './fstab.js';
import { resolveMountpoint } from '../machine/mountpoint.js';
import { optionDigests, shownSource, withoutPin, type MountSpec } from './mount-spec.js';

/**
 * mount(8) asks again for what is mounted: by `mount -a` where it can't tell that it is there, and by
 * `mount -o remount`. Both are fine as long as nothing would change, but for the pin at a remount.
 */

// For a status (ms).
const statusTimeoutMs = 5000;

/**
 * Whether a mount that lives there was made just like this.
 * @throws PinfsError MOUNT_BUSY, naming what is otherwise.
 */
export async function isMountedSo(
  spec: MountSpec,
  directories: readonly string[],
): Promise<boolean> {
  const there = await mountThere(spec.mount.mountpoint, directories);
  if (there?.record?.digests === undefined || !(await answers(there.socket))) return false;
  const differing = differences(optionDigests(spec), there.record.digests);
  if (differing.length === 0) return true;
  const path = printable(fromText(there.record.mountpoint));
  throw new PinfsError(
    'MOUNT_BUSY',
    `a pinfs mount is already on ${path}, with another ${differing.join(', ')}`,
    { advice: `End it first: pinfs umount ${path}` },
  );
}

/**
 * Checks that a remount would change nothing but the pin. `asBefore` is the spec with nothing but defaults: what
 * is as in it was not asked for.
 * @returns the other pin that is asked for; undefined: nothing changes
 * @throws PinfsError NOT_MOUNTED, USAGE (naming what would change).
 */
export async function checkRemount(
  spec: MountSpec,
  asBefore: MountSpec,
  { writable, noExec, pin }: TranslatedOptions,
  directories: readonly string[],
): Promise<string | undefined> {
  const { mountpoint } = spec.mount;
  const there = await mountThere(mountpoint, directories);
  const path = printable(fromText(mountpoint));
  if (there === undefined) {
    throw new PinfsError(
      'NOT_MOUNTED',
      `no pinfs mount is on ${path}, so none can be mounted again`,
    );
  }
  const { line, record } = there;
  const defaults = optionDigests(asBefore);
  const given = Object.entries(optionDigests(spec)).filter(
    ([name, mark]) => defaults[name] !== mark,
  );
  const marks = Object.fromEntries(given);
  // mount(8) takes the source from the mount table where fstab has no line for it.
  const shown = textOf(line.source);
  const asked = spec.mount.fsname ?? shownSource(spec.options.source);
  if (pin === undefined && asked === shown) delete marks['source'];
  delete marks['fsname'];
  delete marks['noExec'];
  const changes = [
    ...(writable ? ['rw'] : []),
    ...(noExec && !line.options.includes('noexec') ? ['noexec'] : []),
    ...(record?.digests === undefined
      ? Object.keys(marks)
      : differences(marks, record.digests, true)),
  ];
  if (changes.length === 0) return undefined;
  const { source, pin: otherPin } = splitSourcePin(spec.options.source);
  const isSame = shownSource(source) === withoutPin(record?.source ?? '');
  // mount(8) says rw wherever nobody says ro.
  const isPinAlone = changes.filter((change) => change !== 'rw').join() === 'source';
  if (isPinAlone && isSame && otherPin !== undefined) return otherPin;
  throw new PinfsError('USAGE', `a remount can't change ${changes.join(', ')} of ${path}`, {
    advice: writable
      ? 'What pinfs mounts is read-only: it can be verified because nobody changes it.'
      : `End it, and mount it anew: pinfs umount ${path}`,
  });
}

export interface There {
  readonly line: MountLine;
  readonly record: MountRecord | undefined;
  readonly socket: string;
}

/** The mount of ours at a directory; undefined: none is there. */
export async function mountThere(
  mountpoint: string,
  directories: readonly string[],
): Promise<There | undefined> {
  const mounts = await currentMounts();
  const ours = (path: string) => findMount(mounts, path)?.type === mountType;
  let path: string;
  try {
    path = resolveMountpoint(mountpoint, ours);
  } catch {
    return undefined; // what is wrong with it is told by whoever mounts there
  }
  const line = findMount(mounts, path);
  if (line?.type !== mountType) return undefined;
  const found = findRecords(directories).find(
    ({ record, detached }) => !detached && record.mountpoint === path,
  );
  return { line, record: found?.record, socket: found?.socket ?? '' };
}

async function answers(socket: string): Promise<boolean> {
  const answer = await askControl(socket, { command: 'status' }, statusTimeoutMs);
  return answer.kind === 'answer';
}

/** Names of what differs; with `onlyGiven`, of what `asked` has. The place of the log is nobody's matter. */
function differences(
  asked: Readonly<Record<string, string>>,
  there: Readonly<Record<string, string>>,
  onlyGiven = false,
): string[] {
  const names = new Set([...Object.keys(asked), ...(onlyGiven ? [] : Object.keys(there))]);
  if (asked['log'] === undefined) names.delete('log');
  const differing = [...names].filter((name) => asked[name] !== there[name]);
  return differing.map((name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
}
