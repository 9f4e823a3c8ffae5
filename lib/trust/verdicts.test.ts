import t from 'tap';
import { PinfsError } from '../format/errors.js';
import { parseHash } from '../format/hash.js';
import { fqrn, judgeMade, rootHash } from '../testing/made-head.js';
import { generateKeyPair, readSigner, type Attestation } from './attest/attest.js';
import { verdictLines } from './verdict/verdict-text.js';
import {
  attestedVerdict,
  offlineAllowed,
  offlineVerdict,
  offlineReason,
  pinnedVerdict,
  refusedVerdict,
  strictError,
  tagVerdict,
  addRootCatalogStep,
} from './verdicts.js';
import { hashStrength } from './verdict/steps.js';

const now = new Date('2030-01-01T00:00:00Z');
const judged = judgeMade();
const unreachable = new PinfsError('SOURCE_UNREACHABLE', 'connection refused');

function pin(text: string, signature = undefined as typeof judged | undefined) {
  const hash = parseHash(text);
  if (hash === undefined) throw new Error('no hash');
  return pinnedVerdict({
    fqrn,
    rootHash: hash,
    tag: undefined,
    revision: 5,
    now,
    trustAt: undefined,
    signature,
  });
}

void t.test('a pin by hash says that no signature was checked', (t) => {
  const verdict = pin(rootHash);
  t.match(verdict, {
    status: 'pinned',
    summary: 'content matches the hash; no signature checked',
    rootHash,
    revision: 5,
    key: undefined,
    judgedAt: '2030-01-01T00:00:00.000Z',
  });
  t.same(
    verdict.steps.map(({ step, outcome }) => `${step} ${outcome}`),
    ['root-catalog passed'],
  );
  t.end();
});

void t.test('a pin shows the signature it can have, and only its own', (t) => {
  const verdict = pin(rootHash, judged);
  t.match(verdict, {
    status: 'pinned',
    key: { name: 'test.pub' },
    judgedAt: '2026-01-01T00:00:00.000Z',
  });
  t.match(verdict.summary, /content matches the hash; as of 2026.*signed revision 5.*test\.pub/);
  t.equal(verdict.steps.at(-1)?.outcome, 'passed');
  t.equal(pin('2'.repeat(40), judged).key, undefined, 'evidence of another root hash');

  const refused = pin(rootHash, judgeMade({}, { keys: [] }));
  t.equal(refused.status, 'pinned');
  t.match(refused.summary, /does not count.*no master key/);
  t.equal(refused.reasons[0]?.code, 'NO_KEY');
  t.end();
});

void t.test('a tag is what the history of a verified head names', (t) => {
  const verdict = tagVerdict(judged.verdict, {
    name: 'v1',
    revision: 3,
    rootHash: { text: '2'.repeat(40) },
  });
  t.match(verdict, {
    status: 'verified',
    tag: 'v1',
    revision: 3,
    rootHash: '2'.repeat(40),
    published: undefined,
  });
  t.match(verdict.summary, /revision 3, named "v1"/);
  const refused = judgeMade({}, { keys: [] }).verdict;
  const bad = tagVerdict(refused, { name: 'v1', revision: 3, rootHash: { text: rootHash } });
  t.equal(bad.status, 'refused');
  t.equal(bad.summary, refused.summary);
  t.end();
});

void t.test('offline keeps what was verified and says why it is no more', (t) => {
  const verdict = offlineVerdict(judged.verdict, unreachable, now);
  t.match(verdict, {
    status: 'offline',
    revision: 5,
    key: { name: 'test.pub' },
    judgedAt: '2026-01-01T00:00:00.000Z',
    reasons: [{ code: 'SOURCE_UNREACHABLE' }],
  });
  t.match(
    verdict.summary,
    /^the source is not reachable: .*connection refused.*2030.*revision verified here, 5.*2026/,
  );
  const tag = tagVerdict(judged.verdict, { name: 'v1', revision: 3, rootHash: { text: rootHash } });
  t.match(
    offlineVerdict(tag, unreachable, now).summary,
    /"v1" as it was resolved here, revision 3/,
  );
  t.end();
});

void t.test('each reason is called what it is, and all of them are told', (t) => {
  const reason = (code: PinfsError['code'], message: string, others: PinfsError['code'][] = []) =>
    offlineReason(
      offlineVerdict(
        judged.verdict,
        new PinfsError(code, message),
        now,
        others.map((other) => ({ code: other, message: 'so it is' })),
      ),
    );
  t.equal(reason('SOURCE_OFFLINE', '--offline was given'), '--offline was given');
  t.equal(reason('MANIFEST_MISSING', 'there is no manifest'), 'there is no manifest');
  t.equal(reason('SOURCE_TIMEOUT', 'late'), 'the source is not reachable: late');
  t.equal(reason('WHITELIST_EXPIRED', 'the whitelist expired'), 'the whitelist expired');
  const both = reason('WHITELIST_EXPIRED', 'the whitelist expired', [
    'WHITELIST_EXPIRED',
    'ROLLBACK',
  ]);
  t.equal(both, 'the whitelist expired; and the source was rolled back: so it is');
  t.match(strictError({ reasons: [{ code: 'ROLLBACK', message: 'older' }] }), {
    code: 'OFFLINE',
    exit: 7,
    message: 'offline: the source was rolled back: older',
  });
  t.end();
});

void t.test('what can not be had is not a matter of trust', (t) => {
  const lacking = judgeMade({ whitelist: unreachable });
  t.equal(lacking.verdict.status, 'unjudged');
  t.equal(lacking.failure?.code, 'SOURCE_UNREACHABLE', 'and can be used for nothing');
  t.notMatch(
    verdictLines(lacking.verdict, { steps: true }).slice(1).join(),
    /FAIL|refused|reason|connection/,
  );
  t.equal(judgeMade({ whitelist: unreachable }, { keys: [] }).verdict.status, 'refused');
  const missing = new PinfsError('TAG_UNKNOWN', 'there is no such tag');
  t.equal(refusedVerdict({ fqrn, now }, missing).status, 'unjudged');
  t.end();
});

void t.test(
  'what a server or the passing of time breaks may be mounted offline, what a signature breaks may not',
  (t) => {
    const allowed = (code: PinfsError['code']): boolean => offlineAllowed(new PinfsError(code, ''));
    for (const code of [
      'SOURCE_UNREACHABLE',
      'SOURCE_TIMEOUT',
      'SOURCE_STATUS',
      'SOURCE_REDIRECT',
      'SOURCE_OFFLINE',
      'MANIFEST_MISSING',
      'WHITELIST_MISSING',
      'CERTIFICATE_MISSING',
      'MANIFEST_MALFORMED',
      'WHITELIST_MALFORMED',
      'WHITELIST_EXPIRED',
      'ROLLBACK',
    ] as const) {
      t.equal(allowed(code), true, code);
    }
    for (const code of [
      'MANIFEST_SIGNATURE',
      'MANIFEST_HASH_MISMATCH',
      'MANIFEST_NAME_MISMATCH',
      'MANIFEST_ROOT_PATH',
      'WHITELIST_SIGNATURE',
      'WHITELIST_HASH_MISMATCH',
      'WHITELIST_NAME_MISMATCH',
      'WHITELIST_UNSUPPORTED',
      'CERTIFICATE_NOT_LISTED',
      'CERTIFICATE_BLACKLISTED',
      'CERTIFICATE_HASH_MISMATCH',
      'CERTIFICATE_MALFORMED',
      'REVISION_BLACKLISTED',
      'REVISION_CHANGED',
      'TAG_MOVED',
      'NO_KEY',
      'KEY_WEAK',
      'INTERNAL',
    ] as const) {
      t.equal(allowed(code), false, code);
    }
    t.end();
  },
);

void t.test('an attested pin names its signer', (t) => {
  const attestation: Attestation = {
    repository: fqrn,
    rootHash,
    rootCatalogSha256: '2'.repeat(64),
    revision: 5,
    tag: 'v1',
    time: '2029-01-01T00:00:00Z',
  };
  const signer = readSigner(Buffer.from(generateKeyPair().publicPem), 'me.pub');
  const verdict = attestedVerdict({
    attestation,
    signer,
    rootHash: { text: rootHash },
    now,
    signature: judged,
  });
  t.match(verdict, {
    status: 'attested',
    tag: 'v1',
    signer: `me.pub (${signer.keyid})`,
    key: { name: 'test.pub' },
  });
  t.match(verdict.hashStrength, /SHA-256/);
  t.equal(verdict.steps.at(-1)?.step, 'attestation');
  t.end();
});

void t.test('a refusal outside the chain has a verdict as well', (t) => {
  const verdict = refusedVerdict({ fqrn, now }, new PinfsError('TAG_MOVED', 'the tag moved'));
  t.match(verdict, { status: 'refused', reasons: [{ code: 'TAG_MOVED' }], steps: [] });
  t.end();
});

void t.test('the root catalog is the last step of a head', (t) => {
  t.equal(addRootCatalogStep(judged.verdict).steps.at(-1)?.outcome, 'passed');
  t.equal(judged.verdict.steps.at(-1)?.outcome, 'not-checked');
  t.end();
});

void t.test('the strength of a hash is told honestly', (t) => {
  t.match(hashStrength('1'.repeat(40)), /SHA-1, weak/);
  t.match(hashStrength(`${'1'.repeat(40)}-rmd160`), /RIPEMD-160.*2\^80/);
  t.match(hashStrength(`${'1'.repeat(40)}-shake128`), /SHAKE-128.*2\^80/);
  t.equal(hashStrength(undefined), 'unknown');
  t.end();
});

void t.test('lines for people: every part that is known, and no control characters', (t) => {
  const lines = verdictLines(judgeMade({}, { keys: [] }).verdict, { steps: true }).join('\n');
  t.match(lines, /^trust: +refused: there is no master key/m);
  t.match(lines, /^ {2}FAIL whitelist-signature +NO_KEY: /m);
  t.match(lines, /^ {2}ok {3}manifest-name +repo\.example\.org$/m);
  t.match(lines, /^reason: NO_KEY: /m);
  t.match(
    verdictLines(judged.verdict, { steps: false }).join('\n'),
    /^key: +test\.pub, SHA-256 [0-9a-f]{64}$/m,
  );

  const hostile = 'a\x1b[31m\u202e\u009b\nb\\x1b';
  const verdict = { ...judged.verdict, tag: hostile, summary: hostile };
  for (const line of verdictLines(verdict, { steps: true }))
    t.notMatch(line, /[\x00-\x1f\x7f-\x9f\u202e]/);
  t.match(
    verdictLines(verdict, { steps: true }).join('\n'),
    /\\nb\\x1b$/m,
    'what was escaped before stays as it is',
  );
  t.end();
});
