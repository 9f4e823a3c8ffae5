import { createRequire } from 'node:module';
import { constants } from 'node:os';

const { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGTERM, SIGCHLD, SIGWINCH } =
  constants.signals;
const handled = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGTERM, SIGCHLD, SIGWINCH];

/** Bytes of glibc's sigset_t. */
const signalSetBytes = 128;
const SIG_BLOCK = 0;
const SIG_SETMASK = 2;

/**
 * Blocks signals in this thread until the function that it gives is called: threads made meanwhile
 * never get any. libfuse cancels its threads when a mount ends; one that is just then in Node's
 * handler of SIGCHLD (the end of fusermount) waits for ever, and with it, for the lock of that
 * handler, the whole process (seen). Does nothing where koffi can't be had.
 */
export function blockSignals(): () => void {
  const mask = process.platform === 'linux' ? signalMask() : undefined;
  if (mask === undefined) return () => undefined;
  const set = Buffer.alloc(signalSetBytes);
  for (const signal of handled) {
    const bit = signal - 1;
    set.writeUInt8(set.readUInt8(bit >> 3) | (1 << (bit & 7)), bit >> 3);
  }
  const before = Buffer.alloc(signalSetBytes);
  if (mask(SIG_BLOCK, set, before) !== 0) return () => undefined;
  return () => {
    mask(SIG_SETMASK, before, null);
  };
}

type Mask = (how: number, set: Buffer, before: Buffer | null) => number;

function signalMask(): Mask | undefined {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    return koffi.load(null).func('int pthread_sigmask(int, void*, void*)') as Mask;
  } catch {
    return undefined;
  }
}
