import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseBlacklist } from '../format/blacklist.js';
import type { ErrorCode } from '../format/errors.js';
import { genuine, hasGenuine, needsGenuine } from '../testing/genuine.js';
import { gather, judge, readIfThere, seenOf } from '../testing/judged.js';
import type { Judgement } from './judge/judge.js';
import type { SeenHead } from './memory/seen-facts.js';

interface DamagedCase {
  readonly name: string;
  readonly directory: string;
  readonly fqrn: string;
  readonly expect: string;
  readonly removed?: string[];
  readonly blacklist?: string;
}

/** The codes of the cases of `damaged` that the judge decides; undefined: accepted. */
const damagedCodes: Readonly<Record<string, ErrorCode | undefined>> = {
  base: undefined,
  'manifest-body-tampered': 'MANIFEST_HASH_MISMATCH',
  'manifest-body-tampered-hash-fixed': 'MANIFEST_SIGNATURE',
  'manifest-signed-by-other-key': 'MANIFEST_SIGNATURE',
  'manifest-signature-bit-flipped': 'MANIFEST_SIGNATURE',
  'manifest-signature-missing': 'MANIFEST_SIGNATURE',
  'manifest-truncated-in-body': 'MANIFEST_MALFORMED',
  'manifest-truncated-in-signature': 'MANIFEST_SIGNATURE',
  'manifest-empty': 'MANIFEST_MALFORMED',
  'manifest-other-repository': 'MANIFEST_NAME_MISMATCH',
  'manifest-without-name': 'MANIFEST_NAME_MISMATCH',
  'manifest-without-root-hash': 'MANIFEST_INCOMPLETE',
  'manifest-root-path-wrong': 'MANIFEST_ROOT_PATH',
  'manifest-root-hash-malformed': 'MANIFEST_MALFORMED',
  'manifest-unknown-keys': undefined,
  'manifest-html': 'MANIFEST_MALFORMED',
  'manifest-missing': 'MANIFEST_MISSING',
  rollback: undefined,
  'certificate-not-on-whitelist': 'CERTIFICATE_NOT_LISTED',
  'certificate-hash-mismatch': 'CERTIFICATE_HASH_MISMATCH',
  'certificate-missing': 'CERTIFICATE_MISSING',
  'certificate-garbage': 'CERTIFICATE_MALFORMED',
  'certificate-expired': undefined,
  'certificate-blacklisted': 'CERTIFICATE_BLACKLISTED',
  'revision-blacklisted': 'REVISION_BLACKLISTED',
  'whitelist-expired': 'WHITELIST_EXPIRED',
  'whitelist-signed-by-other-master': 'WHITELIST_SIGNATURE',
  'whitelist-other-repository': 'WHITELIST_NAME_MISMATCH',
  'whitelist-many-fingerprints': undefined,
  'whitelist-fingerprint-other-algorithm': undefined,
  'whitelist-fingerprint-commented-out': 'CERTIFICATE_NOT_LISTED',
  'whitelist-no-fingerprints': 'CERTIFICATE_NOT_LISTED',
  'whitelist-body-tampered': 'WHITELIST_HASH_MISMATCH',
  'whitelist-body-tampered-hash-fixed': 'WHITELIST_SIGNATURE',
  'whitelist-truncated': 'WHITELIST_MALFORMED',
  'whitelist-signature-truncated': 'WHITELIST_SIGNATURE',
  'whitelist-empty': 'WHITELIST_MALFORMED',
  'whitelist-html': 'WHITELIST_MALFORMED',
  'whitelist-missing': 'WHITELIST_MISSING',
  'whitelist-expiry-malformed': 'WHITELIST_MALFORMED',
  'bomb-certificate': 'CERTIFICATE_MALFORMED',
};

function damagedCases(): DamagedCase[] {
  if (!hasGenuine) return [];
  const text = readFileSync(genuine('damaged', 'cases.json'), 'utf8');
  return (JSON.parse(text) as { cases: DamagedCase[] }).cases;
}

function judgeDamaged(one: DamagedCase, seen?: SeenHead): Judgement {
  const evidence = gather((path) => {
    if (one.removed?.includes(path) === true) return undefined;
    const own = readIfThere(genuine('damaged', one.directory, path));
    return own ?? readIfThere(genuine('damaged', 'base', one.fqrn, path));
  });
  return judge(evidence, {
    fqrn: one.fqrn,
    keys: [genuine('keys', 'damaged.example.org.pub')],
    at: '2026-01-01T00:00:00Z',
    blacklist: parseBlacklist(
      one.blacklist === undefined
        ? Buffer.alloc(0)
        : readFileSync(genuine('damaged', one.blacklist)),
    ),
    ...(seen === undefined ? {} : { seen }),
  });
}

void t.test('every damaged head is judged by its own cause', needsGenuine, (t) => {
  const cases = damagedCases();
  for (const name of Object.keys(damagedCodes)) {
    const one = cases.find((each) => each.name === name);
    if (one === undefined) throw new Error(`no case ${name}`);
    const { failure } = judgeDamaged(one);
    t.equal(failure?.code, damagedCodes[name], name);
    const exits: Readonly<Record<string, number>> = { 'refused-by-trust': 3, 'missing-object': 5 };
    if (name !== 'rollback') t.equal(failure?.exit, exits[one.expect], name);
  }
  // No case about the head was forgotten here.
  const heads = cases.filter(({ name }) =>
    /^(manifest|certificate|whitelist|base|rollback|bomb-cert|revision)/.test(name),
  );
  t.same(
    heads.map(({ name }) => name).filter((name) => !(name in damagedCodes)),
    [],
  );
  t.end();
});

void t.test('a head older than the one seen is refused', needsGenuine, (t) => {
  const cases = damagedCases();
  const base = cases.find(({ name }) => name === 'base');
  const rollback = cases.find(({ name }) => name === 'rollback');
  if (base === undefined || rollback === undefined) throw new Error('cases are missing');
  const seen = seenOf(judgeDamaged(base));
  t.equal(judgeDamaged(rollback, seen).failure?.code, 'ROLLBACK');
  t.equal(judgeDamaged(base, seen).failure, undefined);
  t.equal(judgeDamaged(base, seenOf(judgeDamaged(rollback))).failure, undefined);

  t.end();
});

void t.test('every other genuine repository verifies with its own key', needsGenuine, (t) => {
  for (const [directory, fqrn] of [
    ['features-sha1', 'features-sha1.example.org'],
    ['features-rmd160', 'features-rmd160.example.org'],
    ['features-shake128', 'features-shake128.example.org'],
    ['default-chunks', 'default-chunks.example.org'],
    ['ships-with-project', 'analysis.example.org'],
    ['legacy/aufs-2.1', 'legacy_aufs.cern.ch'],
    ['legacy/guinea-pig-2.0-revision-3', 'testmigration.cern.ch'],
    ['legacy/corrupt-2.0', 'migrationtest01.cern.ch'],
    ['variants/volatile-collectable', 'volatile.example.org'],
  ] as const) {
    const { failure, verdict } = judge(
      gather((path) => readIfThere(genuine(directory, fqrn, path))),
      { fqrn, keys: [genuine('keys', `${fqrn}.pub`)], at: '2026-01-01T00:00:00Z' },
    );
    t.equal(failure, undefined, `${fqrn}: ${failure?.message ?? ''}`);
    t.equal(verdict.key?.name, genuine('keys', `${fqrn}.pub`));
  }
  t.end();
});
