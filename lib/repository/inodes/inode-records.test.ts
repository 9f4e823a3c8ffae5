import fc from 'fast-check';
import t from 'tap';
import type { GivenNumber } from '../../tree/inode-table.js';
import {
  batchMax,
  decodeBatches,
  decodeHeader,
  encodeBatches,
  encodeInodeHeader,
  headerBytes,
  padding,
} from './inode-records.js';

const hash = '0123456789abcdef0123456789abcdef01234567-rmd160';

function decoded(bytes: Buffer): { readonly all: GivenNumber[]; readonly damaged: number } {
  const all: GivenNumber[] = [];
  const { damaged } = decodeBatches(bytes, true, (given) => all.push(given));
  return { all, damaged };
}

const some: GivenNumber[] = [
  { low: 5, high: 0x7fff_ffff, number: 5 },
  { low: 5, high: 1, number: 6 },
  { low: 0xffff_fffe, high: 0, number: 0xffff_fffe },
];

t.test('the header names version, snapshot and mode', (t) => {
  const header = encodeInodeHeader(hash, 'seen');
  t.equal(header.length, headerBytes);
  t.equal(decodeHeader(header, hash), 'seen');
  t.equal(decodeHeader(encodeInodeHeader(hash, 'whole'), hash), 'whole');
  t.equal(decodeHeader(header, hash.slice(0, 40)), undefined, 'of another snapshot');
  const text = header.toString('latin1');
  t.equal(decodeHeader(Buffer.from(text.replace(' 1 ', ' 2 ')), hash), 'newer');
  t.equal(decodeHeader(Buffer.from('pinfs inode numbers 9 of another form'), hash), 'newer');
  t.equal(decodeHeader(header.subarray(0, 90), hash), undefined);
  t.equal(decodeHeader(Buffer.alloc(headerBytes), hash), undefined);
  t.end();
});

t.test('what is written is read', (t) => {
  t.same(decoded(encodeBatches(some)), { all: some, damaged: 0 });
  t.same(decoded(Buffer.alloc(0)), { all: [], damaged: 0 });
  const many = Array.from({ length: batchMax * 2 + 1 }, (_, at) => ({
    low: at,
    high: at,
    number: at + (at % 2),
  }));
  t.same(decoded(encodeBatches(many)), { all: many, damaged: 0 });
  t.end();
});

t.test('a batch that is not whole is left for later, or left out', (t) => {
  const bytes = encodeBatches(some);
  const take = (): void => {
    t.fail('nothing is whole');
  };
  for (let length = 0; length < bytes.length; length++) {
    const part = bytes.subarray(0, length);
    t.same(decodeBatches(part, false, take), { read: 0, damaged: 0 });
    t.same(decodeBatches(part, true, take), { read: length, damaged: length });
    const next = Buffer.concat([part, padding(headerBytes + length), bytes]);
    // Zeros that were lacking may just have been those of the padding.
    t.same(decoded(next).all.slice(-some.length), some, 'the next one is found behind it');
  }
  t.end();
});

t.test('no byte of a file can do harm', (t) => {
  const whole = encodeBatches(some);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 4,
      }),
      (changes) => {
        const bytes = Buffer.from(whole);
        for (const [at, bits] of changes) bytes[at] = (bytes[at] ?? 0) ^ bits;
        const { all } = decoded(Buffer.concat([bytes, whole]));
        // Padding of the head is not looked at; anything else makes the batch none.
        return all.length === some.length || (all.length === 2 * some.length && equal(bytes));
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      decoded(Buffer.from(bytes));
    }),
  );
  t.end();

  function equal(bytes: Buffer): boolean {
    bytes.writeUInt32LE(0, 12);
    return bytes.equals(whole);
  }
});
