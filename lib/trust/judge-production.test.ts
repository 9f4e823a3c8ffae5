import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseBlacklist } from '../format/blacklist.js';
import type { ErrorCode } from '../format/errors.js';
import { genuine, hasGenuine, needsGenuine } from '../testing/genuine.js';
import { gather, judge, readIfThere, seenOf } from '../testing/judged.js';
import type { Judgement } from './judge/judge.js';
import { loadKeys } from './files/keys.js';
import type { SeenHead } from './memory/seen-facts.js';
import { verifyWhitelistSignature } from './judge/signature.js';

interface ProductionCase {
  readonly id: string;
  readonly kind: string;
  readonly repository: string;
  readonly manifest?: string;
  readonly whitelist?: string;
  readonly objects?: string;
  readonly signature?: string;
  readonly message?: string;
  readonly master_keys?: string[];
  readonly trust_at?: string;
  readonly blacklist?: string[];
  readonly expect: string;
  readonly fields_expected?: Record<string, string>;
}

function production(...path: string[]): string {
  return genuine('production', ...path);
}

function productionCases(kind: string): ProductionCase[] {
  if (!hasGenuine) return [];
  const { cases } = JSON.parse(readFileSync(production('cases.json'), 'utf8')) as {
    cases: ProductionCase[];
  };
  return cases.filter((one) => one.kind === kind);
}

function judgeProduction(one: ProductionCase): Judgement {
  const evidence = gather((path) => {
    if (path === '.cvmfspublished') return readIfThere(production(one.manifest ?? 'none'));
    if (path === '.cvmfswhitelist') return readIfThere(production(one.whitelist ?? 'none'));
    return readIfThere(production(one.objects ?? 'none', path.replace(/^data\//, '')));
  });
  return judge(evidence, {
    fqrn: one.repository,
    keys: (one.master_keys ?? []).map((key) => production(key)),
    at: one.trust_at ?? '2026-11-22T13:00:00Z',
    blacklist: parseBlacklist(Buffer.from((one.blacklist ?? []).join('\n'))),
  });
}

/** What each refused chain of production/cases.json has to be refused for. */
const productionCodes: Readonly<Record<string, ErrorCode>> = {
  'atlas2015:hour-of-expiry': 'WHITELIST_EXPIRED',
  'atlas2015:today': 'WHITELIST_EXPIRED',
  'atlas2015:wrong-key': 'WHITELIST_SIGNATURE',
  'atlas2015:wrong-name': 'MANIFEST_NAME_MISMATCH',
  'atlas2015:blacklist': 'CERTIFICATE_BLACKLISTED',
  'atlas2015-tampered-name': 'MANIFEST_SIGNATURE',
  'atlas2015-one-signature-byte': 'MANIFEST_SIGNATURE',
  'atlas2015-invalid-signature-text': 'MANIFEST_SIGNATURE',
  'atlas2014-r4264-damaged': 'MANIFEST_SIGNATURE',
  'atlas2014-r4264-damaged-hash': 'MANIFEST_HASH_MISMATCH',
  'atlas2014-r4264-damaged-2': 'MANIFEST_SIGNATURE',
  emscripten2018: 'CERTIFICATE_MISSING',
  'testmigration-r2:today': 'WHITELIST_EXPIRED',
  'testmigration-r3:today': 'WHITELIST_EXPIRED',
  'testmigration-nested-manifest': 'MANIFEST_ROOT_PATH',
  migrationtest01: 'CERTIFICATE_NOT_LISTED',
  'migrationtest01:today': 'WHITELIST_EXPIRED',
  'test2016:today': 'WHITELIST_EXPIRED',
  'legacy_aufs:hour-of-expiry': 'WHITELIST_EXPIRED',
  'legacy_aufs:today': 'WHITELIST_EXPIRED',
  '127.0.0.1-2011-ttlbase': 'WHITELIST_SIGNATURE',
  '127.0.0.1-2011-ttlmodified': 'WHITELIST_SIGNATURE',
  '127.0.0.1-2012-largefile': 'WHITELIST_SIGNATURE',
};

void t.test('every chain of production is judged as it should be', needsGenuine, (t) => {
  const cases = productionCases('trust-chain');
  t.ok(cases.length >= 31);
  for (const one of cases) {
    const { failure, verdict } = judgeProduction(one);
    t.equal(failure?.code, productionCodes[one.id], one.id);
    t.equal(failure === undefined, one.expect === 'accept', one.id);
    // What can't be had was not judged: nothing was found against it.
    const rejected = failure?.code === 'CERTIFICATE_MISSING' ? 'unjudged' : 'refused';
    t.equal(verdict.status, one.expect === 'accept' ? 'verified' : rejected, one.id);
    t.ok(
      failure === undefined || failure.exit === 3 || failure.code === 'CERTIFICATE_MISSING',
      one.id,
    );
  }
  t.end();
});

void t.test('a failed step does not hide what the other steps say', needsGenuine, (t) => {
  const outcomes = (id: string): Record<string, string> => {
    const one = productionCases('trust-chain').find((each) => each.id === id);
    if (one === undefined) throw new Error(`no case ${id}`);
    const { steps } = judgeProduction(one).verdict;
    return Object.fromEntries(steps.map((step) => [step.step, step.outcome]));
  };
  t.match(outcomes('127.0.0.1-2011-ttlbase'), {
    'manifest-signature': 'passed',
    'whitelist-signature': 'failed',
    fingerprint: 'passed',
  });
  t.match(outcomes('emscripten2018'), {
    'manifest-hash': 'passed',
    certificate: 'failed',
    'manifest-signature': 'not-checked',
    'whitelist-signature': 'passed',
    fingerprint: 'not-checked',
  });
  t.match(outcomes('migrationtest01'), {
    'manifest-signature': 'passed',
    'whitelist-signature': 'passed',
    fingerprint: 'failed',
  });
  t.end();
});

const whitelistCodes: Readonly<Record<string, ErrorCode>> = {
  'atlas2015-wl-one-signature-byte': 'WHITELIST_SIGNATURE',
  'atlas2015-wl-signature-of-other-text': 'WHITELIST_SIGNATURE',
  'atlas2015-wl-no-fingerprints': 'WHITELIST_SIGNATURE',
  'atlas2015-wl-short-timestamp': 'WHITELIST_MALFORMED',
  'atlas2015-wl-no-name': 'WHITELIST_NAME_MISMATCH',
  'atlas2015-wl-no-signature': 'WHITELIST_HASH_MISMATCH',
  'emscripten2018-wl:today': 'WHITELIST_EXPIRED',
  'boss2026-unsigned': 'WHITELIST_HASH_MISMATCH',
};

void t.test('every whitelist of production is judged as it should be', needsGenuine, (t) => {
  const cases = productionCases('whitelist');
  t.ok(cases.length >= 9);
  for (const one of cases) {
    const steps = judgeProduction(one).verdict.steps.filter(({ step }) =>
      step.startsWith('whitelist'),
    );
    t.equal(steps.length, 5);
    t.equal(steps.find((step) => step.outcome === 'failed')?.code, whitelistCodes[one.id], one.id);
    t.equal(
      steps.every((step) => step.outcome === 'passed'),
      one.expect === 'accept',
      one.id,
    );
  }
  t.end();
});

const manifestCodes: Readonly<Record<string, ErrorCode>> = {
  '127.0.0.1-2011': 'MANIFEST_INCOMPLETE',
  'eessi-data-damaged': 'MANIFEST_HASH_MISMATCH',
  // The hash line is right; only the signature is destroyed, and the certificate is nowhere.
  'eessi-pilot-pasted': 'CERTIFICATE_MISSING',
  'doc-example': 'MANIFEST_HASH_MISMATCH',
  'atlas2015-duplicate-keys': 'MANIFEST_NAME_MISMATCH',
  '127.0.0.1-2011-nested-micro:.cvmfspublished': 'MANIFEST_INCOMPLETE',
  '127.0.0.1-2011-nested-micro:dir1/.cvmfspublished': 'MANIFEST_INCOMPLETE',
  '127.0.0.1-2011-nested-micro:dir1/dir1-1/.cvmfspublished': 'MANIFEST_INCOMPLETE',
  '127.0.0.1-2011-nested-micro:dir2/.cvmfspublished': 'MANIFEST_INCOMPLETE',
  '127.0.0.1-2011-nested-micro:dir3/.cvmfspublished': 'MANIFEST_INCOMPLETE',
};

void t.test('every manifest of production is judged as it should be', needsGenuine, (t) => {
  const cases = productionCases('manifest');
  t.ok(cases.length >= 10);
  for (const one of cases) {
    const { failure, manifest } = judgeProduction(one);
    t.equal(failure?.code, manifestCodes[one.id], one.id);
    const fields = one.fields_expected ?? {};
    if (fields['C'] !== undefined) t.equal(manifest?.rootHash.text, fields['C'], one.id);
    if (fields['S'] !== undefined) t.equal(manifest?.revision, Number(fields['S']), one.id);
    if (fields['N'] !== undefined) t.equal(manifest?.name, fields['N'], one.id);
    if (fields['Z'] !== undefined) t.equal(manifest?.channels, fields['Z'], one.id);
  }
  t.end();
});

void t.test('a raw signature of production is verified by its key alone', needsGenuine, (t) => {
  for (const one of productionCases('raw-rsa-signature')) {
    const given = (one.master_keys ?? []).map((key) => production(key));
    const key = loadKeys({ given, fqrn: '', env: {} })[0];
    const signature = readFileSync(production(one.signature ?? ''));
    const text = readFileSync(production(one.message ?? ''), 'latin1').trim();
    t.equal(key && verifyWhitelistSignature(text, signature, key.key), true, one.id);
    t.equal(key && verifyWhitelistSignature(`${text} `, signature, key.key), false, one.id);
    t.equal(key && verifyWhitelistSignature(text, signature.subarray(1), key.key), false, one.id);
  }
  t.end();
});

void t.test(
  'the older of two genuine revisions is refused once the newer was seen',
  needsGenuine,
  (t) => {
    for (const one of productionCases('rollback') as (ProductionCase & {
      first: string;
      then: string;
    })[]) {
      const at = (tree: string, seen?: SeenHead): Judgement =>
        judge(
          gather((path) => readIfThere(production(tree, path))),
          {
            fqrn: one.repository,
            keys: (one.master_keys ?? []).map((key) => production(key)),
            at: one.trust_at ?? '',
            ...(seen === undefined ? {} : { seen }),
          },
        );
      const first = at(one.first);
      t.equal(first.failure, undefined);
      t.equal(at(one.then, seenOf(first)).failure?.code, 'ROLLBACK', one.id);
      t.equal(at(one.then).failure, undefined, one.id);
    }
    t.end();
  },
);
