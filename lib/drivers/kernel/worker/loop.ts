import { errno } from '../../../format/errno.js';
import { PinfsError } from '../../../format/errors.js';
import { headerSize, inputBytes } from '../protocol/constants.js';
import { isReady, pollSet, type SystemCalls } from '../../../machine/system-calls.js';
import { makeFrame } from '../protocol/protocol.js';
import type { KernelSession } from './session.js';
import { openSpin } from './spin.js';
import { takeFlag, type Counters } from './statistics.js';

export interface Loop {
  readonly calls: SystemCalls;
  /** The device and the reading end of the wake-up pipe; both non-blocking. */
  readonly device: number;
  readonly wake: number;
  readonly counters: Counters;
  readonly session: KernelSession;
  readonly clock: () => number;
  /** Acts on all messages that are there; false: leave the loop. */
  readonly takeMessages: () => boolean;
  /** Nothing is to be done right now. */
  readonly idle: () => void;
}

/** Why a loop ended: unmounted, aborted from outside, or told to. */
export type LoopEnd = 'unmounted' | 'aborted' | 'stopped';

// A poll always ends by itself, so that a thread that is told to end does so, whatever was lost.
const waitMsMax = 1000;

/**
 * Serves the device until it ends: reads first, and polls device and pipe only when nothing is there.
 * A request may vanish between poll and read, and a client before its request is read.
 */
export function runLoop(loop: Loop): LoopEnd {
  const { calls, device, session, clock } = loop;
  const frame = makeFrame(inputBytes);
  const set = pollSet(device, loop.wake);
  const bytes = Buffer.alloc(512);
  const spin = openSpin();
  for (;;) {
    if (takeFlag(loop.counters) && !loop.takeMessages()) return 'stopped';
    const length = calls.read(device, frame.bytes, frame.bytes.length);
    if (length > 0) {
      const now = clock();
      spin.came(now);
      frame.length = length;
      session.handle(frame, now);
      if (now >= session.deadline) session.expire(now);
    } else if (length === -errno.EAGAIN) {
      if (session.ahead()) {
        if (session.deadline !== Infinity) session.expire(clock());
        continue;
      }
      if (spin.again(clock(), session.isDue)) {
        calls.yield();
        continue;
      }
      loop.idle();
      const wait = Math.min(waitMsMax, Math.max(0, Math.ceil(session.deadline - clock())));
      calls.poll(set, wait);
      if (isReady(set, 1)) while (calls.read(loop.wake, bytes, bytes.length) === bytes.length);
      // Not all messages wake: news of what is waited for must be heard before anybody is given up.
      if ((takeFlag(loop.counters) || isReady(set, 1)) && !loop.takeMessages()) return 'stopped';
      session.expire(clock());
    } else if (length !== -errno.ENOENT && length !== -errno.EINTR) return ended(-length);
  }
}

function ended(number: number): LoopEnd {
  // A descriptor that is closed, or a socket whose other end is (0), ends the loop like an unmount.
  if (number === errno.ENODEV || number === errno.EBADF || number === 0) {
    return 'unmounted';
  }
  if (number === errno.ECONNABORTED) return 'aborted';
  throw new PinfsError('INTERNAL', `reading the FUSE device failed with errno ${number}`);
}

/**
 * Writes one reply. A client that is gone, or an ended connection (the next read says so), is no error.
 * A reply that the kernel takes for malformed ends its own request with EIO, and nothing else: what a
 * catalog holds must not be able to end the mount.
 */
export function writeReply(
  calls: Pick<SystemCalls, 'write'>,
  device: number,
  bytes: Buffer,
  length: number,
): void {
  const result = calls.write(device, bytes, length);
  if (result >= 0 || passing.has(-result)) return;
  if (result === -errno.EINVAL && length > headerSize.reply) {
    writeReply(calls, device, refusalOf(bytes), headerSize.reply);
    return;
  }
  throw new PinfsError('INTERNAL', `writing to the FUSE device failed with errno ${-result}`);
}

const passing: ReadonlySet<number> = new Set([errno.ENOENT, errno.ENODEV, errno.ECONNABORTED]);

/** The answer EIO to the request that a reply is for. */
function refusalOf(reply: Buffer): Buffer {
  const refusal = Buffer.alloc(headerSize.reply);
  refusal.writeUInt32LE(headerSize.reply, 0);
  refusal.writeInt32LE(-errno.EIO, 4);
  reply.copy(refusal, 8, 8, 16);
  return refusal;
}
