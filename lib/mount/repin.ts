import { resolve } from 'node:path';
import { fromText, printable } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';
import { decoder } from '../format/schema.js';
import { textOf } from '../machine/mountinfo.js';
import { isUrl, splitSourcePin } from '../source/source-pin.js';
import { foreignVerdictSchema } from '../trust/verdict/verdict-schema.js';
import { mountThere } from './again.js';
import { askControl } from './control/control.js';
import { shownSource, withoutPin } from './mount-spec.js';
import type { Repinned } from './session/served.js';

/** A running mount goes over to another pin: asked for through its control socket. */

// It fetches and verifies a root catalog, within the mount's own deadlines.
const repinTimeoutMs = 600_000;

/** `@PIN`, or `SOURCE@PIN` with the source that is mounted. @throws PinfsError USAGE: it has no pin */
export function parseOtherPin(text: string): {
  readonly source: string | undefined;
  readonly pin: string;
} {
  const { source, pin } = text.startsWith('@')
    ? { source: undefined, pin: text.slice(1) }
    : splitSourcePin(text);
  if (pin !== undefined) return { source, pin };
  throw new PinfsError('USAGE', `'${shownSource(text)}' has no pin`, {
    advice: 'Write @ and a root hash, a tag or a date, such as @2015-legacy.',
  });
}

/**
 * Asks the mount at a directory to go over to another pin, or only to verify it.
 * @param other its `source`, if there is one, has to be what is mounted
 * @throws PinfsError NOT_MOUNTED, REPIN_REFUSED, MOUNT_BUSY (its process does not answer), and what verifying throws
 */
export async function repinMount(
  mountpoint: string,
  { source, pin }: ReturnType<typeof parseOtherPin>,
  dryRun: boolean,
  directories: readonly string[],
  /** Told what is asked, without its credentials, before it is waited for. */
  asking: (source: string) => void = () => undefined,
): Promise<Repinned> {
  const path = printable(fromText(mountpoint));
  const there = await mountThere(mountpoint, directories);
  if (there === undefined)
    throw new PinfsError('NOT_MOUNTED', `no pinfs mount is on ${path}`, {
      advice: "'pinfs status' lists the mounts.",
    });
  const mounted = [there.record?.source ?? '', textOf(there.line.source)].map(withoutPin);
  if (source !== undefined && !namesOf(source).some((name) => mounted.includes(name)))
    throw new PinfsError(
      'REPIN_REFUSED',
      `${path} is a mount of ${printable(fromText(mounted[0] ?? ''))}, not of ${shownSource(source)}`,
      { advice: `End it, and mount the other one: pinfs umount ${path}` },
    );
  asking(printable(fromText(mounted[0] ?? '')));
  const answer = await askControl(there.socket, { command: 'repin', pin, dryRun }, repinTimeoutMs);
  if (answer.kind !== 'answer')
    throw new PinfsError('MOUNT_BUSY', `the process of the mount on ${path} does not answer`, {
      advice: "See 'pinfs status'.",
    });
  const repinned = readRepinned(answer.value);
  if (repinned === undefined)
    throw new PinfsError('INTERNAL', 'the process of the mount gave an answer that is none');
  return repinned;
}

function namesOf(source: string): readonly string[] {
  return isUrl(source) ? [shownSource(source)] : [source, resolve(source)];
}

const readRepinned = decoder((v) =>
  v.object({
    from: foreignVerdictSchema(v),
    to: foreignVerdictSchema(v),
    holders: v.exactOptional(v.string()),
  }),
);
