import { deflateSync, gzipSync, deflateRawSync } from 'node:zlib';
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { ErrorCode } from '../format/errors.js';
import type { HashAlgorithm } from '../format/hash.js';
import { wantFor } from '../testing/fakes/memory-source.js';
import { fits, storedLimit, unpack } from './inflate.js';
import type { Compression } from '../format/compression.js';
import type { Want } from './want.js';

const exact = (bytes: number): Want['size'] => ({ kind: 'exact', bytes });
const limit = (bytes: number): Want['size'] => ({ kind: 'limit', bytes });

function refused(stored: Buffer, size: Want['size'], code: ErrorCode, message?: RegExp) {
  return (t: Test) => {
    t.throws(() => unpack(stored, wantFor(stored, size)), {
      code,
      ...(message === undefined ? {} : { message }),
    });
    t.end();
  };
}

void t.test('any bytes come back, in every algorithm and compression', (t) => {
  const algorithms: HashAlgorithm[] = ['sha1', 'rmd160', 'shake128'];
  const compressions: Compression[] = ['zlib', 'none'];
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 5000 }),
      fc.constantFrom(...algorithms),
      fc.constantFrom(...compressions),
      fc.integer({ min: 0, max: 9 }),
      fc.boolean(),
      (bytes, algorithm, compression, level, promised) => {
        const plain = Buffer.from(bytes);
        const stored = compression === 'zlib' ? deflateSync(plain, { level }) : plain;
        const size = promised ? exact(plain.length) : limit(plain.length);
        const want = wantFor(stored, size, { algorithm, compression });
        return unpack(stored, want).equals(plain) && stored.length <= storedLimit(want);
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

void t.test(
  'no change of a single byte goes unnoticed, and none makes it throw anything else',
  (t) => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (bytes, place, change) => {
          const stored = deflateSync(Buffer.from(bytes));
          const want = wantFor(stored, exact(bytes.length));
          const other = Buffer.from(stored);
          const index = place % other.length;
          other.writeUInt8((other[index] ?? 0) ^ change, index);
          try {
            unpack(other, want);
            return false;
          } catch (thrown) {
            return (thrown as { code?: string }).code === 'OBJECT_HASH_MISMATCH';
          }
        },
      ),
      { numRuns: 200 },
    );
    t.end();
  },
);

void t.test(
  'bytes that match their hash and are no zlib stream give an error and no crash',
  (t) => {
    const codes = new Set(['OBJECT_NOT_ZLIB', 'OBJECT_TRAILING_BYTES', 'OBJECT_SIZE_MISMATCH']);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(1000), (bytes, size) => {
        const stored = Buffer.concat([Buffer.from('789c', 'hex'), Buffer.from(bytes)]);
        try {
          return unpack(stored, wantFor(stored, exact(size))).length === size;
        } catch (thrown) {
          return codes.has((thrown as { code: string }).code);
        }
      }),
      { numRuns: 500 },
    );
    t.end();
  },
);

void t.test('the empty object', (t) => {
  const stored = Buffer.from('789c030000000001', 'hex');
  t.equal(unpack(stored, wantFor(stored, exact(0))).length, 0);
  const none = Buffer.alloc(0);
  t.equal(unpack(none, wantFor(none, exact(0), { compression: 'none' })).length, 0);
  t.end();
});

const text = Buffer.from('Hello, CernVM-FS!\n'.repeat(40));
const packed = deflateSync(text);
const size = exact(text.length);

void t.test('a wrong hash is found before anything is inflated', (t) => {
  const want = wantFor(packed, size);
  const other = deflateSync(Buffer.from('other'));
  t.throws(() => unpack(other, want), { code: 'OBJECT_HASH_MISMATCH', message: /\/file/ });
  t.end();
});

void t.test('plain bytes where zlib is said', refused(text, size, 'OBJECT_NOT_ZLIB'));
void t.test('gzip is not zlib', refused(gzipSync(text), size, 'OBJECT_NOT_ZLIB'));
void t.test('raw deflate is not zlib', refused(deflateRawSync(text), size, 'OBJECT_NOT_ZLIB'));
void t.test('no bytes at all', refused(Buffer.alloc(0), size, 'OBJECT_NOT_ZLIB'));
void t.test('a stream that was cut', refused(packed.subarray(0, -3), size, 'OBJECT_NOT_ZLIB'));
const wrongSum = Buffer.from(packed);
wrongSum.writeUInt8((wrongSum.at(-1) ?? 0) ^ 1, wrongSum.length - 1);
void t.test('a wrong check sum', refused(wrongSum, size, 'OBJECT_NOT_ZLIB'));
const dictionary = deflateSync(text, { dictionary: Buffer.from('Hello') });
void t.test('a dictionary', refused(dictionary, size, 'OBJECT_NOT_ZLIB'));
void t.test(
  'bytes behind the end',
  refused(Buffer.concat([packed, Buffer.from('x')]), size, 'OBJECT_TRAILING_BYTES', / 1 bytes/),
);
void t.test(
  'a second stream behind the first',
  refused(Buffer.concat([packed, packed]), size, 'OBJECT_TRAILING_BYTES'),
);
void t.test('a byte too many', refused(packed, exact(text.length - 1), 'OBJECT_SIZE_MISMATCH'));
void t.test('a byte too few', refused(packed, exact(text.length + 1), 'OBJECT_SIZE_MISMATCH'));
const one = deflateSync(Buffer.from('x'));
void t.test('one byte where none was promised', refused(one, exact(0), 'OBJECT_SIZE_MISMATCH'));
void t.test('more than is allowed', refused(packed, limit(text.length - 1), 'OBJECT_TOO_LARGE'));
void t.test(
  'a promise that no memory should be given for',
  refused(packed, exact(2 ** 40), 'OBJECT_TOO_LARGE'),
);

void t.test('uncompressed bytes of another size', (t) => {
  const want = wantFor(text, exact(text.length + 1), { compression: 'none' });
  t.throws(() => unpack(text, want), { code: 'OBJECT_SIZE_MISMATCH' });
  const few = wantFor(text, limit(10), { compression: 'none' });
  t.throws(() => unpack(text, few), { code: 'OBJECT_TOO_LARGE' });
  t.end();
});

void t.test('a bomb is refused with little memory', (t) => {
  const bomb = deflateSync(Buffer.alloc(256 * 1024 * 1024), { level: 9 });
  for (const size of [exact(1000), limit(64 * 1024)]) {
    const before = process.memoryUsage().rss;
    const code = size.kind === 'exact' ? 'OBJECT_SIZE_MISMATCH' : 'OBJECT_TOO_LARGE';
    t.throws(() => unpack(bomb, wantFor(bomb, size)), { code });
    t.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024);
  }
  t.end();
});

void t.test('a large promise with few stored bytes takes little memory', (t) => {
  const before = process.memoryUsage();
  const want = wantFor(packed, exact(2 ** 30));
  t.throws(() => unpack(packed, want), { code: 'OBJECT_SIZE_MISMATCH' });
  const after = process.memoryUsage();
  t.ok(after.rss - before.rss + after.external - before.external < 32 * 1024 * 1024);
  t.end();
});

void t.test('the most that is downloaded has room for what no encoder could shorten', (t) => {
  const plain = randomBytes(1024 * 1024);
  for (const options of [{}, { level: 0 }, { memLevel: 1 }, { memLevel: 1, level: 1 }]) {
    const stored = deflateSync(plain, options);
    t.ok(stored.length <= storedLimit(wantFor(stored, exact(plain.length))));
  }
  t.equal(storedLimit(wantFor(plain, exact(plain.length), { compression: 'none' })), plain.length);
  const external = { path: '/a', range: { offset: 5, length: 100 } };
  t.equal(storedLimit({ ...wantFor(packed, exact(5000)), external }), 100);
  t.end();
});

void t.test('what fits a want', (t) => {
  t.ok(fits(5, wantFor(one, exact(5))));
  t.notOk(fits(4, wantFor(one, exact(5))));
  t.ok(fits(4, wantFor(one, limit(5))));
  t.notOk(fits(6, wantFor(one, limit(5))));
  t.end();
});
