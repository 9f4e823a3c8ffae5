import fc from 'fast-check';
import t from 'tap';
import { parseXattrs, xattrBlobLimit } from './xattr.js';

const example =
  '0102131473656375726974792e6361706162696c69747901000002002000000000000000000000000000000803757365722e666f6f626172';

function blobOf(attributes: readonly (readonly [Uint8Array, Uint8Array])[]): Buffer {
  const parts = attributes.flatMap(([key, value]) => [
    Buffer.from([key.length, value.length]),
    key,
    value,
  ]);
  return Buffer.concat([Buffer.from([1, attributes.length]), ...parts]);
}

void t.test('a worked example is read', (t) => {
  const attributes = parseXattrs(Buffer.from(example, 'hex'));
  t.strictSame(
    [...(attributes ?? [])].map(([key, value]) => [key, value.toString('hex')]),
    [
      ['security.capability', '0100000200200000000000000000000000000000'],
      ['user.foo', Buffer.from('bar').toString('hex')],
    ],
  );
  t.end();
});

void t.test('any inconsistency drops the whole blob', (t) => {
  const good = Buffer.from(example, 'hex');
  const wrong = {
    empty: Buffer.alloc(0),
    'another version': Buffer.from([2, ...good.subarray(1)]),
    'no attributes': Buffer.from([1, 0]),
    'cut off': good.subarray(0, good.length - 1),
    'one attribute too few': Buffer.from([1, 3, ...good.subarray(2)]),
    'empty key': blobOf([[Buffer.alloc(0), Buffer.from('x')]]),
    'NUL in a key': blobOf([[Buffer.from('a\0b'), Buffer.from('x')]]),
    garbage: Buffer.alloc(64, 0xff),
  };
  for (const [what, blob] of Object.entries(wrong)) t.equal(parseXattrs(blob), undefined, what);
  t.equal(
    parseXattrs(Buffer.concat([good, Buffer.from('more')]))?.size,
    2,
    'bytes behind are ignored',
  );
  t.end();
});

void t.test('what can be written is read back, and any bytes are survived', (t) => {
  const key = fc
    .uint8Array({ minLength: 1, maxLength: 255 })
    .map((it) => it.map((byte) => byte || 1));
  const pair = fc.tuple(key, fc.uint8Array({ maxLength: 255 }));
  fc.assert(
    fc.property(fc.array(pair, { minLength: 1, maxLength: 255 }), (pairs) => {
      const blob = blobOf(pairs);
      const wanted = new Map(
        pairs.map(([name, value]) => [Buffer.from(name).toString('latin1'), Buffer.from(value)]),
      );
      const got = parseXattrs(blob);
      return (
        blob.length <= xattrBlobLimit &&
        got?.size === wanted.size &&
        [...wanted].every(([name, value]) => got.get(name)?.equals(value))
      );
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      parseXattrs(Uint8Array.from([1, ...bytes]));
    }),
  );
  t.pass('held');
  t.end();
});
