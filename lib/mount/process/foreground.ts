import { checkAddressSpace } from '../../machine/address-space.js';
import { checkFileLimit } from '../../machine/file-budget.js';
import { giveMemoryBack } from '../../machine/rest.js';
import { realTimer } from '../session/follow.js';
import { groupOf } from './group.js';
import { guardProcess, thisProcess, type Guard } from './guard.js';
import { withAbsolutePaths, type MountSpec } from '../mount-spec.js';
import { realParts, runMount, type MountSession, type SessionParts } from '../session/session.js';

/**
 * Mounts and serves in this process, which then belongs to its mounts: its signals unmount them all.
 * @returns the exit code, when the last of them has ended.
 * @throws PinfsError what `runMount` throws, and then nothing is mounted; MEMORY_LIMITED.
 */
export async function serveMounts(
  specs: readonly [MountSpec, ...MountSpec[]],
  onReady: (sessions: readonly [MountSession, ...MountSession[]]) => void | Promise<void>,
): Promise<number> {
  checkAddressSpace('mount');
  checkFileLimit();
  const [first, ...others] = specs.map((spec) => withAbsolutePaths(spec));
  if (first === undefined) return 0;
  // Where we stand may be where the mount comes to lie.
  process.chdir('/');
  // A terminal or a reader that is lost ends nothing: what it would have shown is lost with it.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const parts = await realParts(first.mount);
  const guard = guardProcess(thisProcess, parts.log, realTimer);
  const living = new Set<MountSession>();
  const mount = async (spec: MountSpec, parts: SessionParts): Promise<MountSession> => {
    const session = await mountOne(spec, parts, guard, () => living.size > 1);
    living.add(session);
    void session.ended.finally(() => living.delete(session));
    return session;
  };
  const sessions: [MountSession, ...MountSession[]] = [await mount(first, parts)];
  try {
    for (const spec of others) sessions.push(await mount(spec, await realParts(spec.mount)));
  } catch (thrown) {
    await Promise.allSettled(sessions.map((session) => session.unmount('force')));
    throw thrown;
  }
  const ended = guard.attach(groupOf(sessions));
  giveMemoryBack();
  await onReady(sessions);
  return ended;
}

function mountOne(
  { options, mount }: MountSpec,
  parts: SessionParts,
  guard: Guard,
  servesOthers: () => boolean,
): Promise<MountSession> {
  return runMount(options, mount, { ...parts, onMounting: guard.mounting, servesOthers });
}
