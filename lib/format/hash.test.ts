import t from 'tap';
import { hashBytes, hashFromDigest, objectPath, objectText, parseHash } from './hash.js';

// The worked values of docs/format.md, 2.3: stored bytes and their three names.
const stored = Buffer.from('789cf348cdc9c9d751704e2dca0bf3d5750b56e402003864055d', 'hex');
const names = {
  sha1: '058dca2f4afaa08a135dc62af2ed255947a89634',
  rmd160: '32d233bc0f3b4f31086d57912f46a9565364e2a9-rmd160',
  shake128: '7d03dfbf74c0fe06e333ac06d945e55a5183c798-shake128',
} as const;

t.test('three algorithms, over the stored bytes', (t) => {
  for (const algorithm of ['sha1', 'rmd160', 'shake128'] as const) {
    const hash = hashBytes(algorithm, stored);
    t.same(hash, { algorithm, text: names[algorithm] });
    t.same(parseHash(hash.text), hash);
    const digest = Buffer.from(hash.text.slice(0, 40), 'hex');
    t.same(hashFromDigest(algorithm, digest), hash);
    t.equal(hashFromDigest(algorithm, digest.subarray(1)), undefined);
  }
  t.end();
});

t.test('a text that is not exactly a hash is none', (t) => {
  const wrong = [
    '',
    names.sha1.toUpperCase(),
    names.sha1.slice(1),
    `${names.sha1}0`,
    `${names.sha1}-sha256`,
    `${names.sha1}-RMD160`,
    `${names.sha1}\n`,
    'd41d8cd98f00b204e9800998ecf8427e',
    'z'.repeat(40),
  ];
  for (const text of wrong) t.equal(parseHash(text), undefined, JSON.stringify(text));
  t.end();
});

t.test('names and places of objects: the letter of the kind is last', (t) => {
  const hash = hashBytes('rmd160', stored);
  t.equal(
    objectPath({ hash, kind: 'chunk' }),
    'data/32/d233bc0f3b4f31086d57912f46a9565364e2a9-rmd160P',
  );
  const texts = (['data', 'catalog', 'history', 'certificate', 'metainfo'] as const).map((kind) =>
    objectText({ hash, kind }).slice(hash.text.length),
  );
  t.same(texts, ['', 'C', 'H', 'X', 'M']);
  t.end();
});
