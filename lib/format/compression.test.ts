import t from 'tap';
import {
  compressionOfFlags,
  compressions,
  flagsOfCompression,
  pack,
  type Compression,
} from './compression.js';

const names = Object.keys(compressions) as Compression[];

t.test('each compression has a number and a suffix of its own', (t) => {
  t.equal(new Set(names.map((name) => compressions[name].flagCode)).size, names.length);
  t.equal(new Set(names.map((name) => compressions[name].keySuffix)).size, names.length);
  for (const name of names) t.equal(compressionOfFlags(flagsOfCompression(name) | 0x84), name);
  t.equal(flagsOfCompression('none'), 0x800, 'bit 11');
  for (let code = names.length; code < 8; code++)
    t.equal(compressionOfFlags(code << 11), undefined);
  t.end();
});

t.test('what is packed fits its limit, and comes back, never beyond what is allowed', (t) => {
  for (const name of names) {
    const { codec, storedBytesMax } = compressions[name];
    for (const size of [0, 1, 1000, 200_000]) {
      const plain = Buffer.alloc(size, 'abc');
      const stored = pack(plain, name);
      t.ok(stored.length <= storedBytesMax(size), `${name} ${size}`);
      if (codec === undefined) {
        t.same(stored, plain);
        continue;
      }
      for (const isExact of [true, false]) {
        const whole = { kind: 'done', plain, trailingBytes: 0 };
        t.same(codec.unpack(stored, size, isExact), whole);
        if (size > 1) t.same(codec.unpack(stored, size - 1, isExact), { kind: 'too-large' });
        const more = Buffer.concat([stored, Buffer.from('xyz')]);
        t.same(codec.unpack(more, size, isExact), { ...whole, trailingBytes: 3 });
        t.equal(codec.unpack(stored.subarray(0, -1), size, isExact).kind, 'broken');
      }
    }
  }
  t.end();
});
