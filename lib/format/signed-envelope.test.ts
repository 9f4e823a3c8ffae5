import fc from 'fast-check';
import t from 'tap';
import {
  checkHashLine,
  splitEnvelope,
  describeNoEnvelope,
  envelopeLines,
} from './signed-envelope.js';
import { hashBytes } from './hash.js';

const text = 'Nrepo.example.org\nS1\n';

function envelope(body: string, hashLine: string, signature: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${body}--\n${hashLine}\n`, 'latin1'), signature]);
}

void t.test(
  'an envelope is cut at its first line "--", and its signature may hold anything',
  (t) => {
    const signature = Buffer.from('\0\n--\n\nabc\0--\n', 'latin1');
    const cut = splitEnvelope(envelope(text, 'hash', signature));
    t.equal(cut?.text.toString(), text);
    t.equal(cut?.hashLine, 'hash');
    t.same(cut?.signature, signature);
    t.end();
  },
);

void t.test(
  'an envelope may end early: after "--", in its hash line, before its signature',
  (t) => {
    t.equal(splitEnvelope(Buffer.from('a\n--\n'))?.hashLine, '');
    t.equal(splitEnvelope(Buffer.from('a\n--\nabc'))?.hashLine, 'abc');
    t.equal(splitEnvelope(Buffer.from('a\n--\nabc'))?.signature.length, 0);
    t.equal(splitEnvelope(Buffer.from('a\n--\nabc\n'))?.signature.length, 0);
    t.end();
  },
);

void t.test('"--" counts only as a line of its own behind another one', (t) => {
  for (const none of ['', '--', 'a--\nb', 'a\n--b\n', 'a\n-- \n', '--\nhash\n', 'a\n--\r\n']) {
    t.equal(splitEnvelope(Buffer.from(none)), undefined, JSON.stringify(none));
  }
  t.end();
});

void t.test('the hash line names its own algorithm', (t) => {
  for (const algorithm of ['sha1', 'rmd160', 'shake128'] as const) {
    const hash = hashBytes(algorithm, Buffer.from(text)).text;
    const cut = splitEnvelope(envelope(text, hash, Buffer.alloc(0)));
    t.match(cut && checkHashLine(cut), { matches: true, algorithm, expected: hash });
  }
  t.end();
});

void t.test('a hash line in capitals, too short, or of other text does not match', (t) => {
  const hash = hashBytes('sha1', Buffer.from(text)).text;
  const md5 = 'd41d8cd98f00b204e9800998ecf8427e';
  for (const wrong of [hash.toUpperCase(), hash.slice(1), md5, `${hash} `, '', '0'.repeat(40)]) {
    const cut = splitEnvelope(envelope(text, wrong, Buffer.alloc(0)));
    t.equal(cut && checkHashLine(cut).matches, false, wrong);
  }
  t.end();
});

void t.test('lines keep everything but their LF', (t) => {
  t.same(envelopeLines(Buffer.from('a\r\n\nb\0c\n', 'latin1')), ['a\r', '', 'b\0c']);
  t.end();
});

void t.test('what is no envelope is described', (t) => {
  t.match(describeNoEnvelope(Buffer.alloc(0)), /empty/);
  t.match(describeNoEnvelope(Buffer.from(' \n<!DOCTYPE html>')), /HTML/);
  t.match(describeNoEnvelope(Buffer.from('Cabc')), /cut off/);
  t.end();
});

void t.test('any bytes are cut so that the parts are those bytes', (t) => {
  const pieces = fc.array(fc.constantFrom('\n', '--', '--\n', '\n--\n', 'a', '\0', '\xff'));
  fc.assert(
    fc.property(pieces, (parts) => {
      const bytes = Buffer.from(parts.join(''), 'latin1');
      const cut = splitEnvelope(bytes);
      if (cut === undefined) return !bytes.includes('\n--\n');
      const end = bytes.subarray(cut.text.length + 3).includes('\n') ? '\n' : '';
      const again = `${cut.text.toString('latin1')}--\n${cut.hashLine}${end}${cut.signature.toString('latin1')}`;
      return again === bytes.toString('latin1') && cut.text.at(-1) === 0x0a;
    }),
  );
  t.end();
});
