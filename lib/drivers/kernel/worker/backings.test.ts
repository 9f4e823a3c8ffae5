import t from 'tap';
import { openBackings } from './backings.js';

/** A device that gives backing ids, or the errno given. */
function fakeDevice(error?: number) {
  const calls: [number, number][] = [];
  let next = 10;
  return {
    calls,
    ioctl(_: number, request: number, argument: Buffer) {
      calls.push([request, argument.readInt32LE(0)]);
      if (error !== undefined) return -error;
      return request === 0x4010e501 ? (next += 1) : 0;
    },
  };
}

function never(): number {
  throw new Error('the file was looked for again');
}

void t.test('one backing id for an inode from its first open to its last release', (t) => {
  const device = fakeDevice();
  const backings = openBackings(device, 7);
  t.equal(
    backings.open('a', () => 33),
    11,
  );
  t.equal(backings.open('a', never), 11);
  t.equal(
    backings.open('b', () => 44),
    12,
  );
  t.equal(backings.count(), 2);
  backings.release('a');
  t.equal(device.calls.length, 2);
  backings.release('a');
  t.same(device.calls.at(-1), [0x4004e502, 11]);
  t.equal(
    backings.open('a', () => 33),
    13,
    'and then a new one',
  );
  backings.release('unknown');
  t.end();
});

void t.test('what was opened the usual way stays so while it is open', (t) => {
  const backings = openBackings(fakeDevice(), 7);
  t.equal(
    backings.open('a', () => undefined),
    0,
  );
  t.equal(backings.open('a', never), 0);
  backings.release('a');
  backings.release('a');
  t.equal(
    backings.open('a', () => 33),
    11,
  );
  t.end();
});

void t.test('whoever may not is asked once', (t) => {
  const device = fakeDevice(1);
  const backings = openBackings(device, 7);
  t.equal(
    backings.open('a', () => 33),
    0,
  );
  t.equal(backings.open('b', never), 0);
  backings.release('a');
  t.equal(device.calls.length, 1, 'nothing to close');
  t.end();
});
