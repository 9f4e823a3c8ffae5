import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { UnsafeDirectory } from './held.js';
import { isTrusted } from './owners.js';
import { linkProblem } from './way.js';

/**
 * Opens a file that somebody named to be added to, such as a log; made by need, for nobody but us. Waits for nothing,
 * and follows no link that another user made; a device (`/dev/null`) is fine as well.
 * @returns the descriptor. @throws UnsafeDirectory for what could be another user's; errors of the file system.
 */
export function openToAppend(path: string): number {
  const link = linkProblem(path);
  if (link !== undefined) throw new UnsafeDirectory(link);
  const { O_WRONLY, O_APPEND, O_CREAT, O_NONBLOCK, O_NOCTTY } = constants;
  const fd = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, 0o600);
  const status = fstatSync(fd);
  const problem = status.isCharacterDevice()
    ? undefined
    : !status.isFile()
      ? `${path} is no file`
      : !isTrusted(status)
        ? `${path} belongs to another user (uid ${status.uid})`
        : // A link that another user made to a file of ours: what is written would land there.
          status.nlink > 1
          ? `${path} has another name as well`
          : undefined;
  if (problem === undefined) return fd;
  closeSync(fd);
  throw new UnsafeDirectory(problem);
}
