import t from 'tap';
import { errno } from '../../../format/errno.js';
import { readReply } from '../../../testing/fakes/fake-kernel.js';
import type { SystemCalls } from '../../../machine/system-calls.js';
import { counters } from './statistics.js';
import { runLoop, writeReply } from './loop.js';
import type { KernelSession } from './session.js';

const device = 7;

/** A device whose writes end with these results, one after the other. */
function writing(...results: number[]) {
  const written: Buffer[] = [];
  return {
    written,
    write: (_: number, bytes: Buffer, length: number) => {
      written.push(Buffer.from(bytes.subarray(0, length)));
      return results.shift() ?? length;
    },
  };
}

function reply(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32LE(length, 0);
  bytes.writeBigUInt64LE(0x1234_5678_9abcn, 8);
  return bytes;
}

void t.test('a reply that the kernel refuses ends its own request only', (t) => {
  // It has answered the request itself by then (ENOENT), or waits for another answer.
  for (const second of [16, -2]) {
    const calls = writing(-errno.EINVAL, second);
    writeReply(calls, device, reply(5000), 5000);
    t.equal(calls.written.length, 2);
    const refusal = readReply(calls.written[1] ?? Buffer.alloc(0));
    t.match(refusal, { length: 16, error: -5, unique: 0x1234_5678_9abc });
  }
  t.end();
});

void t.test('whoever is gone is no error, everything else is', (t) => {
  for (const number of [2, errno.ENODEV, errno.ECONNABORTED]) {
    const calls = writing(-number);
    writeReply(calls, device, reply(100), 100);
    t.equal(calls.written.length, 1);
  }
  for (const results of [[-errno.EBADF], [-errno.EINVAL, -errno.EINVAL]]) {
    t.throws(() => writeReply(writing(...results), device, reply(100), 100), { code: 'INTERNAL' });
  }
  t.end();
});

void t.test('who waits is answered in time, however much there is to do ahead', (t) => {
  const calls = {
    read: () => -(now > 1000 ? errno.ENODEV : errno.EAGAIN),
    poll: () => t.fail('there is something to do'),
  };
  let now = 0;
  const answered: number[] = [];
  const session = {
    isDue: false,
    deadline: 100,
    ahead: () => (now += 10) > 0,
    expire(at: number) {
      if (at < session.deadline) return;
      answered.push(at);
      session.deadline = Infinity;
    },
  };
  const end = runLoop({
    calls: calls as unknown as SystemCalls,
    device,
    wake: 8,
    counters: counters(),
    session: session as unknown as KernelSession,
    clock: () => now,
    takeMessages: () => true,
    idle: () => t.fail('it is not idle'),
  });
  t.equal(end, 'unmounted');
  t.same(answered, [100]);
  t.end();
});
