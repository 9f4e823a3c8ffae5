import { spawn } from 'node:child_process';
import type { MountLine } from '../mountinfo.js';

/**
 * A small child that outlives the daemon by a moment: its input is a pipe that only the daemon holds,
 * so it sees the end however the daemon dies, and then takes the dead mount away lazily. A mount with our
 * device number that answers is another one, since the kernel gives a number that is free to the next.
 * It is asked with statfs, which alone always goes to the daemon: a stat of the root of a dead mount is
 * answered from what the kernel keeps.
 */
export interface Supervisor {
  /** The mount is gone or in good hands: nothing is to be done at the daemon's end. */
  readonly dismiss: () => void;
  readonly pid: number | undefined;
}

// $1: id of the mount, $2: its device number. A word on the input means "dismissed"; its end, "died". The
// mount table says where it lies by now, with blanks as `\040`, which printf takes as `\0040`.
const script = String.raw`
if read -r word; then exit 0; fi
found=
while read -r id parent number root at rest; do
  if [ "$id $number" = "$1 $2" ]; then found=$at; fi
done < /proc/self/mountinfo
found=$(printf '%b.' "$(printf '%s' "$found" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')")
found=${'$'}{found%.}
if [ -z "$found" ] || stat -f -- "$found"; then exit 0; fi
fusermount3 -uz -- "$found" || umount -l -c -- "$found"
`;

export function startSupervisor({ id, device }: MountLine): Supervisor {
  const child = spawn('/bin/sh', ['-c', script, 'pinfs-supervisor', String(id), device], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  // Without it the mount only lacks this help.
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  child.unref();
  // A pipe of a child is a socket here: it must not keep the event loop alive.
  (child.stdin as unknown as { unref?: () => void }).unref?.();
  return {
    pid: child.pid,
    dismiss: () => {
      child.stdin.end('dismissed\n');
    },
  };
}
