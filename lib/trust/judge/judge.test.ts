import { deflateSync } from 'node:zlib';
import t from 'tap';
import { parseBlacklist } from '../../format/blacklist.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { otherMasterKey, testCertificate, weakMasterKey } from '../../publish/keys.js';
import {
  certificate,
  codeOf,
  fqrn,
  judgeMade,
  keys,
  manifestLines,
  rootHash,
} from '../../testing/made-head.js';
import { fingerprint, signManifest, signWhitelist, whitelistLines } from '../../publish/signing.js';
import { parseMasterKeys } from '../files/keys.js';
import type { SeenHead } from '../memory/seen-facts.js';
import type { Verdict } from '../verdict/verdict.js';
import { offlineAllowed } from '../verdicts.js';

void t.test('a good head is verified, every step in its order', (t) => {
  const { verdict, manifest, failure } = judgeMade();
  t.equal(failure, undefined);
  t.equal(manifest?.revision, 5);
  t.match(verdict, {
    status: 'verified',
    repository: fqrn,
    rootHash,
    revision: 5,
    published: '2020-09-13T12:26:40Z',
    tag: undefined,
    judgedAt: '2026-01-01T00:00:00.000Z',
    trustAtGiven: false,
    key: { name: 'test.pub', shipped: false },
    fingerprint: fingerprint(),
    whitelist: { created: '2020-01-01T00:00:00Z', expires: '2099-12-31T00:00:00Z' },
    reasons: [],
  });
  t.match(verdict.hashStrength, /SHA-1.*collisions/);
  t.same(
    verdict.steps.map(({ step, outcome }) => `${step} ${outcome}`),
    [
      'manifest-syntax passed',
      'manifest-name passed',
      'manifest-root-path passed',
      'manifest-hash passed',
      'certificate passed',
      'manifest-signature passed',
      'whitelist-syntax passed',
      'whitelist-expiry passed',
      'whitelist-name passed',
      'whitelist-hash passed',
      'whitelist-signature passed',
      'blacklist passed',
      'fingerprint passed',
      'revision not-checked',
      'root-catalog not-checked',
    ],
  );
  t.same(
    (JSON.parse(JSON.stringify(verdict)) as Verdict).steps.length,
    15,
    'a verdict is plain JSON',
  );
  t.end();
});

void t.test('files that could not be had keep their cause', (t) => {
  const missing = new PinfsError('OBJECT_MISSING', '404');
  const large = new PinfsError('OBJECT_TOO_LARGE', 'too large');
  const refused = new PinfsError('SOURCE_UNREACHABLE', 'connection refused');
  t.equal(codeOf({ manifest: missing, certificate: undefined }), 'MANIFEST_MISSING');
  t.equal(codeOf({ whitelist: missing }), 'WHITELIST_MISSING');
  t.equal(codeOf({ certificate: missing }), 'CERTIFICATE_MISSING');
  t.equal(codeOf({ certificate: undefined }), 'CERTIFICATE_MISSING');
  t.equal(codeOf({ manifest: large }), 'MANIFEST_MALFORMED');
  t.equal(codeOf({ whitelist: large }), 'WHITELIST_MALFORMED');
  t.equal(codeOf({ certificate: large }), 'CERTIFICATE_MALFORMED');
  t.equal(
    codeOf({ certificate: new PinfsError('OBJECT_HASH_MISMATCH', 'damaged') }),
    'CERTIFICATE_HASH_MISMATCH',
  );
  for (const file of ['manifest', 'whitelist', 'certificate'] as const) {
    t.equal(codeOf({ [file]: refused }), 'SOURCE_UNREACHABLE', file);
  }
  t.end();
});

void t.test('the certificate object is bounded, whole, and nothing but a stream', (t) => {
  const as = (stored: Buffer<ArrayBuffer>): ErrorCode | undefined =>
    codeOf({ manifest: signManifest(manifestLines(stored)), certificate: stored });
  t.equal(as(deflateSync(Buffer.alloc(32 * 1024 * 1024))), 'CERTIFICATE_MALFORMED', 'a bomb');
  t.equal(as(Buffer.from(certificate.subarray(0, -3))), 'CERTIFICATE_MALFORMED', 'cut off');
  t.equal(as(Buffer.concat([certificate, Buffer.from('x')])), 'CERTIFICATE_MALFORMED', 'more');
  t.equal(as(Buffer.from(testCertificate.certificate)), 'CERTIFICATE_MALFORMED', 'not compressed');
  t.equal(as(Buffer.alloc(0)), 'CERTIFICATE_MALFORMED', 'empty');
  t.equal(as(deflateSync('no certificate')), 'CERTIFICATE_MALFORMED', 'something else');
  t.equal(codeOf({ certificate: deflateSync('other') }), 'CERTIFICATE_HASH_MISMATCH');
  t.end();
});

void t.test('a manifest without a certificate is incomplete', (t) => {
  const without = manifestLines().filter((line) => !line.startsWith('X'));
  t.equal(
    codeOf({ manifest: signManifest(without), certificate: undefined }),
    'MANIFEST_INCOMPLETE',
  );
  t.end();
});

void t.test('keys: none, the wrong one, several, weak ones', (t) => {
  const wrong = parseMasterKeys(otherMasterKey.publicKey, 'other.pub');
  const weak = parseMasterKeys(weakMasterKey.publicKey, 'weak.pub');
  const whitelist = signWhitelist(whitelistLines(fqrn, [fingerprint()]), 'sha1', weakMasterKey);
  t.equal(codeOf({}, { keys: [] }), 'NO_KEY');
  const { failure } = judgeMade({}, { keys: [] });
  t.match(`${failure?.message ?? ''} ${failure?.advice ?? ''}`, /--key.*root hash/);
  t.equal(codeOf({}, { keys: wrong }), 'WHITELIST_SIGNATURE');
  t.equal(codeOf({}, { keys: [...wrong, ...weak, ...keys] }), undefined);
  t.equal(codeOf({ whitelist }, { keys: weak }), 'KEY_WEAK');
  t.equal(codeOf({ whitelist }, { keys: [...keys, ...weak] }), 'KEY_WEAK');
  t.equal(codeOf({ whitelist }, { keys: weak, weakKey: true }), undefined);
  t.equal(codeOf({}, { keys: weak }), 'WHITELIST_SIGNATURE', 'a weak key that does not fit');
  t.end();
});

void t.test('the moment of judgement is the clock, or what was asked for', (t) => {
  const whitelist = signWhitelist(whitelistLines(fqrn, [fingerprint()], '20210101120000'));
  t.equal(codeOf({ whitelist }), 'WHITELIST_EXPIRED');
  const { verdict, failure } = judgeMade(
    { whitelist },
    { trustAt: new Date('2021-01-01T11:59:00Z') },
  );
  t.equal(failure, undefined);
  t.match(verdict, {
    status: 'verified',
    trustAtGiven: true,
    judgedAt: '2021-01-01T11:59:00.000Z',
  });
  t.match(verdict.summary, /as of 2021-01-01/);
  t.equal(
    codeOf({ whitelist }, { trustAt: new Date('2021-01-01T12:00:00Z') }),
    'WHITELIST_EXPIRED',
  );
  t.end();
});

void t.test('the blacklist is stronger than any signature', (t) => {
  const banned = (text: string): ErrorCode | undefined =>
    codeOf({}, { blacklist: parseBlacklist(Buffer.from(text)) });
  t.equal(banned(`${fingerprint()} # stolen`), 'CERTIFICATE_BLACKLISTED');
  t.equal(banned(fingerprint(undefined, 'rmd160')), 'CERTIFICATE_BLACKLISTED');
  t.equal(banned(`<${fqrn} 6`), 'REVISION_BLACKLISTED');
  t.equal(banned(`<${fqrn} 5`), undefined);
  t.equal(banned('<other.example.org 6'), undefined);
  t.end();
});

void t.test('neither revision nor time goes back, and a revision keeps its root hash', (t) => {
  const seen = (head: Partial<SeenHead>): ErrorCode | undefined =>
    codeOf(
      {},
      {
        seen: {
          revision: 5,
          published: 1_600_000_000,
          rootHash,
          rootSize: undefined,
          historyHash: undefined,
          verdict: judgeMade().verdict,
          ...head,
        },
      },
    );
  t.equal(seen({}), undefined);
  t.equal(seen({ revision: 4, published: 1, rootHash: '2'.repeat(40) }), undefined);
  t.equal(seen({ revision: 6, rootHash: '2'.repeat(40) }), 'ROLLBACK');
  t.equal(seen({ published: 1_600_000_001 }), 'ROLLBACK');
  t.equal(seen({ revision: 4, published: 1_600_000_001, rootHash: '2'.repeat(40) }), 'ROLLBACK');
  t.equal(seen({ rootHash: '2'.repeat(40) }), 'REVISION_CHANGED');
  t.end();
});

void t.test('what fails first decides, and the rest is reported', (t) => {
  const whitelist = signWhitelist(
    whitelistLines('other.example.org', [], '20210101000000'),
    'sha1',
    otherMasterKey,
  );
  const { failure, verdict } = judgeMade({ whitelist });
  t.equal(failure?.code, 'WHITELIST_EXPIRED');
  t.same(
    verdict.reasons.map(({ code }) => code),
    [
      'WHITELIST_EXPIRED',
      'WHITELIST_NAME_MISMATCH',
      'WHITELIST_SIGNATURE',
      'CERTIFICATE_NOT_LISTED',
    ],
  );
  t.equal(failure && offlineAllowed(failure), true);
  t.equal(
    failure && offlineAllowed(failure, verdict.reasons),
    false,
    'expiry excuses nothing else',
  );
  t.end();
});
