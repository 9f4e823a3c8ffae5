import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  changedManifest,
  expiredWhitelist,
  openBench,
  readText,
  type Bench,
} from '../testing/bench.js';
import { otherMasterKey, weakMasterKey } from '../publish/keys.js';
import {
  file,
  fingerprint,
  makeRepository,
  signWhitelist,
  whitelistLines,
  type MadeRevision,
} from '../publish/write-repository.js';
import {
  generateKeyPair,
  makeAttestation,
  readSecretKey,
  writeKeyPair,
} from '../trust/attest/attest.js';
import { attestationOf } from './open/attested.js';
import { nextCheck, refresh } from './follow.js';
import { openOtherPin } from './repin.js';
import type { Repository } from './repository.js';

const made = makeRepository({
  ttl: 900,
  revisions: [
    { tree: { file: file('one') }, tags: { v1: 'the first' } },
    { tree: { file: file('two') }, tags: { v2: 'the second' } },
  ],
});
const [first, second] = made.revisions as [MadeRevision, MadeRevision];
const fqrn = made.fqrn;

function passedSteps(repository: Repository): string[] {
  return repository.verdict.steps
    .filter(({ outcome }) => outcome === 'passed')
    .map(({ step }) => step);
}

const setUp = (t: Test): Promise<Bench> => openBench(t, made);

void t.test('a pin by root hash needs no key', async (t) => {
  const bench = await setUp(t);
  const bare = await bench.open(first.rootHash.text, { keys: [], cache: join(bench.work, 'bare') });
  t.equal(await readText(bare), 'one');
  t.equal(bare.verdict.status, 'pinned');
  t.match(bare.verdict.summary, /content matches the hash; no signature checked/);
  t.same(passedSteps(bare), ['root-catalog']);
  t.ok(bare.pinned);

  const head = await bench.open(second.rootHash.text, { cache: join(bench.work, 'with-key') });
  t.equal(head.verdict.status, 'pinned');
  t.ok(passedSteps(head).includes('manifest-signature'), 'with a key the evidence is added');

  const older = await bench.open(first.rootHash.text, { cache: join(bench.work, 'older') });
  t.equal(older.verdict.status, 'pinned');
  t.match(older.verdict.summary, /content matches the hash; as of .* named "v1" by the history of/);
  t.ok(passedSteps(older).includes('manifest-signature'), 'also where the history vouches for it');
  t.equal(older.verdict.revision, 1);
  t.equal(await readText(older), 'one');

  const other = '0'.repeat(40);
  await t.rejects(bench.open(other, { keys: [] }), { code: 'OBJECT_MISSING', exit: 5 });
});

void t.test('what was verified once shows its evidence years later', async (t) => {
  const bench = await setUp(t);
  bench.files.set('.cvmfspublished', first.manifest);
  await bench.open();
  bench.files.set('.cvmfspublished', second.manifest);
  bench.files.set('.cvmfswhitelist', expiredWhitelist(fqrn));
  bench.setClock('2045-01-01T00:00:00Z');
  const pinned = await bench.open(first.rootHash.text);
  t.equal(pinned.verdict.status, 'pinned');
  t.ok(passedSteps(pinned).includes('manifest-signature'));
  t.equal(await readText(pinned), 'one');
});

void t.test('a repository without a key, or with the wrong one, is refused', async (t) => {
  const bench = await setUp(t);
  await t.rejects(bench.open(undefined, { keys: [] }), { code: 'NO_KEY', exit: 3 });
  const wrong = join(bench.work, 'wrong.pub');
  writeFileSync(wrong, otherMasterKey.publicKey);
  await t.rejects(bench.open(undefined, { keys: [wrong] }), {
    code: 'WHITELIST_SIGNATURE',
    exit: 3,
  });
  const several = await bench.open(undefined, { keys: [wrong, bench.key] });
  t.equal(several.verdict.status, 'verified', 'one of several keys suffices');
  const weak = join(bench.work, 'weak.pub');
  writeFileSync(weak, weakMasterKey.publicKey);
  const lines = whitelistLines(fqrn, [fingerprint()]);
  bench.files.set('.cvmfswhitelist', signWhitelist(lines, 'sha1', weakMasterKey));
  const options = { keys: [weak], cache: join(bench.work, 'weak') };
  await t.rejects(bench.open(undefined, options), { code: 'KEY_WEAK', exit: 3 });
  t.equal(await readText(await bench.open(undefined, { ...options, weakKey: true })), 'two');
});

void t.test('a rebooted node with no network comes up as it was', async (t) => {
  const bench = await setUp(t);
  await readText(await bench.open());
  await readText(await bench.open('v1'));
  bench.server.behave(() => true, 'reset');

  const head = await bench.open();
  t.equal(head.verdict.status, 'offline');
  t.equal(head.verdict.reasons[0]?.code, 'SOURCE_UNREACHABLE');
  t.equal(head.descriptor.identity.revision, 2);
  t.equal(await readText(head), 'two');

  const tag = await bench.open('v1');
  t.equal(tag.verdict.status, 'offline');
  t.equal(tag.descriptor.identity.tag, 'v1');
  t.equal(await readText(tag), 'one');

  const fromHistory = await bench.open('v2');
  t.equal(fromHistory.descriptor.identity.revision, 2, 'the verified history is in the cache');
  await t.rejects(bench.open('v3'), { code: 'SOURCE_UNREACHABLE' }, 'a tag that nobody knows');

  const asked = bench.server.requests.length;
  const offline = await bench.open(undefined, { offline: true });
  t.equal(await readText(offline), 'two');
  t.equal(bench.server.requests.length, asked, '--offline asks nobody');

  const unknown = { cache: join(bench.work, 'other') };
  await t.rejects(bench.open(undefined, unknown), { code: 'SOURCE_UNREACHABLE', exit: 4 });
});

void t.test('a directory that is gone is like a server that is gone', async (t) => {
  const bench = await setUp(t);
  const place = join(bench.work, 'disk');
  const source = made.writeTo(place);
  const own = { source, cache: join(bench.work, 'of-disk') };
  t.equal(await readText(await bench.open(undefined, own)), 'two');
  rmSync(place, { recursive: true });
  const head = await bench.open(undefined, own);
  t.equal(head.verdict.status, 'offline');
  t.equal(head.verdict.reasons[0]?.code, 'SOURCE_UNREACHABLE');
  t.equal(await readText(head), 'two');
  made.writeTo(place);
  t.equal(await refresh(head), undefined);
  t.equal(head.verdict.status, 'verified', 'and may come back');
  rmSync(place, { recursive: true });
  const unknown = { source, cache: join(bench.work, 'other') };
  await t.rejects(bench.open(undefined, unknown), { code: 'SOURCE_UNREACHABLE', advice: String });
  await t.rejects(
    bench.open(undefined, { ...unknown, source: `${source}@${first.rootHash.text}` }),
    {
      code: 'SOURCE_UNREACHABLE',
    },
  );
});

void t.test('a revision older than one seen does not replace it', async (t) => {
  const bench = await setUp(t);
  await readText(await bench.open());
  bench.files.set('.cvmfspublished', first.manifest);
  const head = await bench.open();
  t.equal(head.verdict.status, 'offline');
  t.equal(head.verdict.reasons[0]?.code, 'ROLLBACK');
  t.equal(await readText(head), 'two');
  t.equal(await readText(await bench.open('v1')), 'one', 'a tag is a pin');
  t.equal(await readText(await bench.open(first.rootHash.text)), 'one', 'so is a root hash');
  const dated = await bench.open('2020-01-01');
  t.equal(dated.verdict.status, 'offline', 'a date asks the newest history that was verified here');
  t.equal(await readText(dated), 'one');
  const fresh = await bench.open(undefined, { cache: join(bench.work, 'fresh') });
  t.equal(fresh.verdict.status, 'verified', 'who has seen nothing newer takes it');
  t.equal(await readText(fresh), 'one');
});

void t.test('one revision has one root hash', async (t) => {
  const bench = await setUp(t);
  await bench.open();
  bench.files.set('.cvmfspublished', changedManifest(second, { C: first.rootHash.text }));
  const error = await bench.open().catch((thrown: unknown) => thrown);
  t.match(error, { code: 'REVISION_CHANGED', exit: 3 });
  t.match(error, { message: new RegExp(first.rootHash.text) });
  t.match(error, { message: new RegExp(second.rootHash.text) });
});

void t.test('a tag that moved is refused, trunk may move', async (t) => {
  const bench = await setUp(t);
  await bench.open('v1');
  await bench.open('trunk');
  const moved = makeRepository({
    revisions: [
      { tree: { file: file('one') } },
      { tree: { file: file('two') } },
      { tree: { file: file('three') }, tags: { v1: 'moved' } },
    ],
  });
  for (const [path, bytes] of moved.files) bench.files.set(path, bytes);
  const error = await bench.open('v1').catch((thrown: unknown) => thrown);
  t.match(error, { code: 'TAG_MOVED', exit: 3 });
  t.match(error, { message: new RegExp(first.rootHash.text) });
  t.match(error, { message: new RegExp(moved.head.rootHash.text) });
  t.equal(await readText(await bench.open('trunk')), 'three');
});

void t.test(
  'an expired whitelist refuses a head, unless it is judged as of its time',
  async (t) => {
    const bench = await setUp(t);
    bench.files.set('.cvmfswhitelist', expiredWhitelist(fqrn));
    await t.rejects(bench.open(), { code: 'WHITELIST_EXPIRED', exit: 3 });
    const then = await bench.open(undefined, { trustAt: '2020-01-15' });
    t.equal(then.verdict.status, 'verified');
    t.ok(then.verdict.trustAtGiven, 'the verdict says so');
    t.match(then.verdict.judgedAt, /^2020-01-15/);
    t.equal(await readText(then), 'two');
    await t.rejects(
      bench.open(undefined, { trustAt: '2020-02-02', cache: join(bench.work, 'b') }),
      {
        code: 'WHITELIST_EXPIRED',
      },
    );
    await t.rejects(bench.open(undefined, { trustAt: 'yesterday' }), { code: 'USAGE', exit: 2 });
    // Later, without being asked for: what was good as of that day only is no state to stay at.
    await t.rejects(bench.open(), { code: 'WHITELIST_EXPIRED', exit: 3 });
    bench.server.behave(() => true, 'reset');
    await t.rejects(bench.open(), { code: 'SOURCE_UNREACHABLE' });
    const again = await bench.open(undefined, { trustAt: '2020-01-15' });
    t.equal(again.verdict.status, 'offline');
    t.ok(again.verdict.trustAtGiven);
  },
);

void t.test('a whitelist that expires later leaves the last verified head', async (t) => {
  const bench = await setUp(t);
  await readText(await bench.open());
  bench.files.set('.cvmfswhitelist', expiredWhitelist(fqrn));
  const head = await bench.open();
  t.equal(head.verdict.status, 'offline');
  t.equal(head.verdict.reasons[0]?.code, 'WHITELIST_EXPIRED');
  t.equal(await readText(head), 'two');
});

void t.test('the blacklist holds for pins too', async (t) => {
  const bench = await setUp(t);
  const blacklist = join(bench.work, 'blacklist');
  writeFileSync(blacklist, `<${fqrn} 2\n`);
  const refused = { code: 'REVISION_BLACKLISTED', exit: 3 };
  await t.rejects(bench.open('v1', { blacklist }), refused);
  await t.rejects(bench.open(first.rootHash.text, { blacklist, keys: [] }), refused);
  t.equal(await readText(await bench.open('v2', { blacklist })), 'two');
  // The certificate is banned: whatever it signed is refused, where that can be seen.
  writeFileSync(blacklist, fingerprint());
  const banned = { code: 'CERTIFICATE_BLACKLISTED', exit: 3 };
  const cache = join(bench.work, 'never seen');
  await t.rejects(bench.open(second.rootHash.text, { blacklist, cache }), banned);
  bench.files.set('.cvmfspublished', changedManifest(second, { X: second.rootHash.text }));
  const fresh = { blacklist, cache: join(bench.work, 'nor here') };
  t.equal(
    await readText(await bench.open(second.rootHash.text, fresh)),
    'two',
    'nobody knows of it',
  );
});

void t.test('an attestation mounts exactly what was attested', async (t) => {
  const bench = await setUp(t);
  const pair = generateKeyPair();
  const other = generateKeyPair();
  const path = (name: string): string => join(bench.work, name);
  writeKeyPair(path('signer'), pair);
  writeKeyPair(path('other'), other);
  const secret = readSecretKey(readFileSync(path('signer')));
  const statement = await attestationOf(await bench.open('v1'), bench.environment.now());
  t.match(statement, { repository: fqrn, rootHash: first.rootHash.text, tag: 'v1', revision: 1 });
  const attest = (change: object): string => {
    const name = path(`${Object.keys(change).join('-')}.json`);
    writeFileSync(name, makeAttestation({ ...statement, ...change }, secret));
    return name;
  };
  // No master key, an expired whitelist, another machine: the signature is of its own.
  bench.files.set('.cvmfswhitelist', expiredWhitelist(fqrn));
  const signers = [path('signer.pub')];
  const options = { keys: [], cache: path('elsewhere'), signers };
  const attested = await bench.open(undefined, { ...options, attestation: attest({}) });
  t.equal(attested.verdict.status, 'attested');
  t.ok(attested.pinned);
  t.equal(await readText(attested), 'one');
  await t.rejects(openOtherPin(attested, 'v2'), { code: 'REPIN_REFUSED' });

  const mismatches: Record<string, object> = {
    'another repository': { repository: 'other.example.org' },
    'another revision': { revision: 2 },
    'another content': { rootCatalogSha256: '0'.repeat(64) },
  };
  for (const [name, change] of Object.entries(mismatches)) {
    const given = { ...options, attestation: attest(change) };
    await t.rejects(bench.open(undefined, given), { code: 'ATTESTATION_MISMATCH', exit: 3 }, name);
  }
  const attestation = attest({});
  await t.rejects(bench.open('v2', { ...options, attestation }), { code: 'ATTESTATION_MISMATCH' });
  t.equal(await readText(await bench.open('v1', { ...options, attestation })), 'one');
  const wrongSigner = { ...options, attestation, signers: [path('other.pub')] };
  await t.rejects(bench.open(undefined, wrongSigner), { code: 'ATTESTATION_SIGNATURE', exit: 3 });
  await t.rejects(bench.open(undefined, { ...options, attestation, signers: [] }), {
    code: 'USAGE',
    exit: 2,
  });
  writeFileSync(path('torn.json'), '{"payload":');
  await t.rejects(bench.open(undefined, { ...options, attestation: path('torn.json') }), {
    code: 'ATTESTATION_MALFORMED',
    exit: 3,
  });
});

void t.test('a head is followed', async (t) => {
  const bench = await setUp(t);
  bench.files.set('.cvmfspublished', first.manifest);
  const old = await bench.open();
  t.equal(nextCheck(old), 900, 'after its TTL');
  t.equal(await refresh(old), undefined, 'nothing new');

  bench.files.set('.cvmfspublished', second.manifest);
  const fresh = await refresh(old);
  if (fresh === undefined) throw new Error('it did not move');
  t.equal(fresh.verdict.status, 'verified');
  t.equal(await readText(fresh), 'two');
  t.equal(await readText(old), 'one', 'whoever is in the old one stays in it');
  old.leave();

  bench.server.behave('.cvmfspublished', 'error');
  t.equal(await refresh(fresh), undefined, 'what is served is served on');
  t.equal(fresh.verdict.status, 'offline', 'with the verdict of now');
  t.equal(nextCheck(fresh), 180, 'sooner, while there is no head');

  bench.server.reset();
  t.equal(await refresh(fresh), undefined);
  t.equal(fresh.verdict.status, 'verified');

  bench.server.behave('.cvmfspublished', 'bit-flipped', 1);
  await t.rejects(
    refresh(fresh),
    { code: 'MANIFEST_HASH_MISMATCH' },
    'a head that is refused is told',
  );
  t.equal(await readText(fresh), 'two', 'what is mounted stays');
  bench.files.set('.cvmfspublished', first.manifest);
  t.equal(await refresh(fresh), undefined);
  t.match(fresh.verdict, { status: 'offline', revision: 2, reasons: [{ code: 'ROLLBACK' }] });
});

void t.test('a pin is not followed', async (t) => {
  const bench = await setUp(t);
  for (const pin of ['v1', second.rootHash.text, '2020-01-01']) {
    const pinned = await bench.open(pin);
    t.equal(nextCheck(pinned), undefined);
    const asked = bench.server.requests.length;
    t.equal(await refresh(pinned), undefined);
    t.equal(bench.server.requests.length, asked, 'nobody is asked');
  }
});

void t.test('a new head whose root catalog is not there yet', async (t) => {
  const bench = await setUp(t);
  bench.files.set('.cvmfspublished', first.manifest);
  const old = await bench.open();
  bench.files.set('.cvmfspublished', second.manifest);
  const { text } = second.rootHash;
  bench.server.behave(`data/${text.slice(0, 2)}/${text.slice(2)}C`, 'missing');
  await t.rejects(refresh(old), { code: 'OBJECT_MISSING' });
  t.equal(await readText(old), 'one');
  const mounted = await bench.open();
  t.equal(mounted.verdict.status, 'offline', 'a reboot comes up with the last one');
  t.equal(mounted.verdict.reasons[0]?.code, 'OBJECT_MISSING');
  t.equal(await readText(mounted), 'one');
});
