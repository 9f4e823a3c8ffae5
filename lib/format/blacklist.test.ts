import fc from 'fast-check';
import t from 'tap';
import { minimumRevision, parseBlacklist } from './blacklist.js';

const fingerprint = 'D3:C3:4F:54:98:6B:ED:9E:CE:1A:3E:2D:B3:C1:D8:CD:2D:3D:E7:44';

function minimum(line: string): number {
  return minimumRevision(parseBlacklist(Buffer.from(line)), 'repo.example.org');
}

void t.test('fingerprints have the grammar of whitelists', (t) => {
  const { fingerprints } = parseBlacklist(
    Buffer.from(`${fingerprint} # revoked\n# ${fingerprint}\n\n${fingerprint}-RMD160\nwhat\n`),
  );
  t.same(
    fingerprints.map((hash) => hash.algorithm),
    ['sha1', 'rmd160'],
  );
  t.end();
});

void t.test('the vectors of docs/format.md, 4.5', (t) => {
  t.equal(minimum('<repo.example.org 10'), 10);
  t.equal(minimum('<repo.example.org 10 '), 0);
  t.equal(minimum('< repo.example.org 10'), 0);
  t.equal(minimum('#<repo.example.org 10'), 0);
  t.equal(minimum('<other.example.org 10'), 0);
  t.equal(minimum('<repo.example.org \t 10'), 10);
  t.end();
});

void t.test('of several lines the highest counts, and a huge number bans everything', (t) => {
  t.equal(minimum('<repo.example.org 10\n<repo.example.org 30\n<repo.example.org 20'), 30);
  t.ok(minimum(`<repo.example.org ${'9'.repeat(500)}`) > Number.MAX_SAFE_INTEGER);
  t.end();
});

void t.test('any bytes give a blacklist', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const { fingerprints, revisions } = parseBlacklist(Buffer.from(bytes));
      return fingerprints.length + revisions.length <= bytes.length;
    }),
  );
  t.end();
});
