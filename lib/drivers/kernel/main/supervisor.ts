import { spawn, type ChildProcess } from 'node:child_process';
import type { MountLine } from '../../../machine/mountinfo.js';

/**
 * A small child that outlives the daemon by a moment: its input is a pipe that only the daemon holds,
 * so it sees the end however the daemon dies, and then takes the dead mount away lazily. A mount with our
 * device number that answers, or that is closed to us, is another one, since the kernel gives a number that is free to the next.
 * It is asked with statfs, which alone always goes to the daemon: a stat of the root of a dead mount is
 * answered from what the kernel keeps.
 */
export interface Supervisor {
  /** The mount is gone or in good hands: nothing is to be done at the daemon's end. */
  readonly dismiss: () => void;
  readonly pid: number | undefined;
}

// $1: id of the mount, $2: its device number. A word on the input means "dismissed"; its end, "died". The
// mount table says where it lies by now, with blanks as `\040`, which printf takes as `\0040`. The words are those
// of glibc and musl for ENOTCONN and ECONNABORTED, behind the path, which may hold anything.
const script = String.raw`
trap '' HUP INT PIPE TERM
if read -r word; then exit 0; fi
look() {
  at_now=
  while read -r id parent number root at rest; do
    case "$id $number $rest" in "$1 $2 "*' - fuse.pinfs '*) at_now=$at ;; esac
  done < /proc/self/mountinfo
}
look "$1" "$2"
before=$at_now
found=$(printf '%b.' "$(printf '%s' "$before" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')")
found=${'$'}{found%.}
[ -n "$found" ] || exit 0
why=$(LC_ALL=C stat -f -- "$found" 2>&1) && exit 0
case $why in *'not connected' | *'onnection abort' | *'onnection aborted') ;; *) exit 0 ;; esac
look "$1" "$2"
[ "$at_now" = "$before" ] || exit 0
fusermount3 -uz -- "$found" || umount -l -c -- "$found" || umount -l -- "$found"
`;

/** Milliseconds before a supervisor that was killed is started again: longer each time, and at most this. */
const pauseMs = 500;
const pauseMsMax = 60_000;

/** Kept going until it is dismissed: one that ends before is started again, and that is told. */
export function startSupervisor(line: MountLine, log: (message: string) => void): Supervisor {
  let child: ChildProcess | undefined;
  let isDismissed = false;
  let pause = pauseMs;
  const watch = (): void => {
    // Where descriptors or memory lack, spawn throws, or gives no input: it is tried again.
    const started = spawnSupervisor(line);
    child = started;
    let isOver = false;
    const onEnd = (how: string): void => {
      if (isDismissed || isOver) return;
      isOver = true;
      log(`the supervisor of the mount ended (${how}): it is started again`);
      const timer = setTimeout(() => {
        if (!isDismissed) watch();
      }, pause);
      timer.unref();
      pause = Math.min(pauseMsMax, pause * 2);
    };
    if (started === undefined) {
      onEnd('it could not be started');
      return;
    }
    started.on('error', (error) => {
      onEnd(error.message);
    });
    started.on('exit', (code, signal) => {
      onEnd(signal ?? `exit code ${code ?? '?'}`);
    });
  };
  watch();
  return {
    get pid() {
      return child?.pid;
    },
    dismiss: () => {
      isDismissed = true;
      child?.stdin?.end('dismissed\n');
    },
  };
}

function spawnSupervisor({ id, device }: MountLine): ChildProcess | undefined {
  let child: ChildProcess;
  try {
    child = spawn('/bin/sh', ['-c', script, 'pinfs-supervisor', String(id), device], {
      detached: true,
      cwd: '/',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
  } catch {
    return undefined;
  }
  child.stdin?.on('error', () => undefined);
  child.unref();
  // A pipe of a child is a socket here: it must not keep the event loop alive.
  (child.stdin as unknown as { unref?: () => void } | null)?.unref?.();
  return child;
}
