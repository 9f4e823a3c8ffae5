import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { checkChunkSizes, cutFinder, cutsOf } from './chunker.js';

/** Top bytes of a linear congruential generator of 32 bits. */
function noise(length: number, seed = 12345): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state >>> 24;
    }),
  );
}

t.test('cuts are where the format document says', (t) => {
  const bytes = noise(2000);
  t.equal(
    createHash('sha1').update(bytes).digest('hex'),
    '542e3cef2743c53d8d29f67d75cbc5f51184bc73',
  );
  const sizes = { min: 64, average: 128, max: 256 };
  const expected = [182, 322, 401, 552, 736, 839, 1019, 1135, 1295, 1404, 1502, 1656, 1781, 1956];
  t.same(cutsOf(bytes, sizes), expected);
  t.same(cutsOf(bytes.subarray(0, 256), sizes), [182]);
  t.same(cutsOf(Buffer.alloc(1024), sizes), [256, 512, 768], 'one at the end is none');
  t.same(cutsOf(Buffer.alloc(1025), sizes), [256, 512, 768, 1024]);
  t.same(cutsOf(bytes.subarray(0, 64), sizes), []);
  t.end();
});

t.test(
  'cuts do not depend on the pieces in which bytes come, and are as a plain reading of the rules finds them',
  (t) => {
    const trees = fc.record({
      seed: fc.nat(),
      length: fc.nat(3000),
      // Runs of one byte, in which only the largest size cuts.
      run: fc.record({ at: fc.nat(3000), length: fc.nat(1500), byte: fc.nat(255) }),
      piece: fc.integer({ min: 1, max: 700 }),
      min: fc.integer({ min: 32, max: 100 }),
      more: fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 300 })),
    });
    fc.assert(
      fc.property(trees, ({ seed, length, run, piece, min, more }) => {
        const bytes = noise(length, seed);
        bytes.fill(run.byte, Math.min(run.at, length), Math.min(run.at + run.length, length));
        const sizes = { min, average: min + more[0], max: min + more[0] + more[1] };
        const whole = cutsOf(bytes, sizes);
        const finder = cutFinder(sizes);
        const pieces: number[] = [];
        while (finder.wants < length) {
          const cut = finder.next(bytes.subarray(finder.wants, finder.wants + piece));
          if (cut !== undefined) pieces.push(cut);
        }
        const plain = plainCuts(bytes, sizes);
        return String(whole) === String(plain) && String(pieces) === String(plain);
      }),
      { numRuns: 150 },
    );
    t.end();
  },
);

/** The rules again, with large integers and no short cuts: every byte is looked at, and every position tested. */
function plainCuts(bytes: Buffer, { min, average, max }: Parameters<typeof cutsOf>[1]): number[] {
  const threshold = 4294967295n / BigInt(average);
  const cuts: number[] = [];
  let start = 0;
  for (let p = min; p < bytes.length; p++) {
    if (p - start < min) continue;
    let x = 0n;
    for (const byte of bytes.subarray(Math.max(start, p - 31), p + 1))
      x = BigInt.asUintN(32, (x << 1n) ^ BigInt(byte));
    const distance = BigInt.asIntN(32, x - 0x7fffffffn);
    const isMark = distance === -(2n ** 31n) || (distance < threshold && distance > -threshold);
    if (p - start < max && !isMark) continue;
    cuts.push(p);
    start = p;
  }
  return cuts;
}

t.test('sizes that can cut nothing are refused', (t) => {
  for (const [min, average, max] of [
    [31, 64, 128],
    [64, 64, 128],
    [64, 128, 128],
    [64.5, 128, 256],
    [64, 128, 2 ** 31],
    [Number.NaN, 128, 256],
  ] as const)
    t.throws(() => checkChunkSizes({ min, average, max }), { code: 'USAGE' });
  t.doesNotThrow(() => checkChunkSizes({ min: 32, average: 33, max: 34 }));
  t.end();
});
