import { checkAddressSpace } from '../../machine/address-space.js';
import { checkFileLimit } from '../../machine/file-budget.js';
import { giveMemoryBackAtRest } from '../../machine/rest.js';
import type { OpenOptions } from '../../repository/open/options.js';
import { realTimer } from '../session/follow.js';
import { guardProcess, thisProcess } from './guard.js';
import type { MountOptions } from '../options.js';
import { withAbsolutePaths } from '../mount-spec.js';
import { realParts, runMount, type MountSession } from '../session/session.js';

/**
 * Mounts and serves in this process, which then belongs to the mount: its signals unmount.
 * @returns the exit code, when the mount has ended.
 * @throws PinfsError what `runMount` throws; MEMORY_LIMITED.
 */
export async function serveMount(
  options: OpenOptions,
  mount: MountOptions,
  onReady: (session: MountSession) => void | Promise<void>,
): Promise<number> {
  checkAddressSpace('mount');
  checkFileLimit();
  const spec = withAbsolutePaths({ options, mount });
  // Where we stand may be where the mount comes to lie.
  process.chdir('/');
  // A terminal or a reader that is lost ends nothing: what it would have shown is lost with it.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const parts = await realParts(spec.mount);
  const guard = guardProcess(thisProcess, parts.log, realTimer);
  const session = await runMount(spec.options, spec.mount, {
    ...parts,
    onMounting: guard.mounting,
  });
  const ended = guard.attach(session);
  giveMemoryBackAtRest();
  await onReady(session);
  return ended;
}
