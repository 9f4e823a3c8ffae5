import { fromText, printable } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';
import { mountThere } from './again.js';
import { askControl, type ControlRequest } from './control/control.js';

/**
 * Asks the mount at a directory through its control socket. @returns what it answered
 * @throws PinfsError NOT_MOUNTED; MOUNT_BUSY: its process does not answer; what it answered
 */
export async function askMount(
  mountpoint: string,
  request: ControlRequest,
  milliseconds: number,
  directories: readonly string[],
): Promise<unknown> {
  const path = printable(fromText(mountpoint));
  const there = await mountThere(mountpoint, directories);
  if (there === undefined) {
    throw new PinfsError('NOT_MOUNTED', `no pinfs mount is on ${path}`, {
      advice: "'pinfs status' lists the mounts.",
    });
  }
  const answer = await askControl(there.socket, request, milliseconds);
  if (answer.kind === 'answer') return answer.value;
  throw new PinfsError('MOUNT_BUSY', `the process of the mount on ${path} does not answer`, {
    advice: "See 'pinfs status'.",
  });
}
