import { spawn } from 'node:child_process';

/**
 * A small child that outlives the daemon by a moment: its input is a pipe that only the daemon holds,
 * so it sees the end however the daemon dies, and then takes the mount away lazily. It looks at the
 * mount table first (the device number must still be ours) and never touches the mount itself.
 */
export interface Supervisor {
  /** The mount is gone or in good hands: nothing is to be done at the daemon's end. */
  readonly dismiss: () => void;
  readonly pid: number | undefined;
}

// $1: device number, $2: mountpoint. A word on the input means "dismissed"; its end, "died".
const script = `
if read -r word; then exit 0; fi
while read -r id parent number rest; do
  if [ "$number" = "$1" ]; then
    fusermount3 -uz -- "$2" 2>/dev/null || umount -l -c -- "$2" 2>/dev/null
    exit 0
  fi
done < /proc/self/mountinfo
`;

export function startSupervisor(device: string, mountpoint: string): Supervisor {
  const child = spawn('/bin/sh', ['-c', script, 'pinfs-supervisor', device, mountpoint], {
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
