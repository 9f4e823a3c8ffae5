import fc from 'fast-check';
import t from 'tap';
import { fromBytes, fromText, printable, printableJson, printableText, toBytes } from './bytes.js';

t.test('byte strings carry any bytes', (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      t.same([...toBytes(fromBytes(bytes))], [...bytes]);
    }),
    { numRuns: 50 },
  );
  t.equal(fromText('é'), '\xc3\xa9');
  t.end();
});

t.test('what is printed can neither move the cursor nor lie about its order', (t) => {
  t.equal(printable(fromText('naïve.txt')), 'naïve.txt');
  t.equal(printable('caf\xe9'), 'caf\\xe9', 'bytes that are not UTF-8');
  t.equal(printable('a\nb\tc\\d'), 'a\\nb\\tc\\\\d');
  t.equal(printable('\x1b[2J'), '\\x1b[2J');
  t.equal(printable(fromText('\u202egpj.exe')), '\\u{202e}gpj.exe');
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      t.notMatch(printable(fromBytes(bytes)), /[\x00-\x1f\x7f-\x9f\u202a-\u202e]/);
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('so can JSON, which is the same value all the same', (t) => {
  const hostile = 'a\x1b[2J\x7f\x9b31m\u202egpj\u2066 é \\ "';
  const value = { [hostile]: [hostile, 2n ** 60n] };
  for (const indent of [undefined, 2]) {
    const text = printableJson(value, indent);
    t.notMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/);
    t.same(JSON.parse(text), { [hostile]: [hostile, '1152921504606846976'] });
  }
  t.end();
});

t.test('a message that was escaped once is not escaped again', (t) => {
  t.equal(printableText(`no ${printable('caf\xe9')}: \x07`), 'no caf\\xe9: \\x07');
  t.end();
});
