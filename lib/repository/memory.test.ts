import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { expiredWhitelist, openBench, readText } from '../testing/bench.js';
import { otherCertificate, otherMasterKey, weakMasterKey } from '../publish/keys.js';
import {
  file,
  fingerprint,
  makeRepository,
  signWhitelist,
  whitelistLines,
  type MadeRepository,
  type MadeRevision,
} from '../publish/write-repository.js';
import { refresh, refuseBannedSnapshot } from './follow.js';
import { inspectSource } from './inspect.js';

/* What was seen on this machine before: for whom it counts, and what may not change it. */

const made = makeRepository({
  revisions: [
    { tree: { file: file('one') }, tags: { v1: 'the first' } },
    { tree: { file: file('two') }, tags: { v2: 'the second' } },
  ],
});
const [first, second] = made.revisions as [MadeRevision, MadeRevision];
const { fqrn } = made;

type Bench = Awaited<ReturnType<typeof openBench>>;

function publish(bench: Bench, repository: MadeRepository): void {
  for (const [path, bytes] of repository.files) bench.files.set(path, bytes);
}

/** Where the object lies that a line of the second manifest names. */
function objectOf(letter: string, tail: string): string {
  const hash = second.manifestLines.find((line) => line.startsWith(letter))?.slice(1) ?? '';
  return `data/${hash.slice(0, 2)}/${hash.slice(2)}${tail}`;
}

const summary = async (bench: Bench, pin?: string) => (await bench.open(pin)).verdict.summary;

void t.test('what another key vouched for is nothing to who does not give that key', async (t) => {
  const bench = await openBench(t, made);
  const evil = makeRepository({
    master: otherMasterKey,
    revisions: [{ tree: {} }, { tree: {} }, { tree: { file: file('evil') }, tags: { v1: 'evil' } }],
  });
  const evilKey = join(bench.work, 'evil.pub');
  writeFileSync(evilKey, otherMasterKey.publicKey);
  publish(bench, evil);
  t.equal(await readText(await bench.open(undefined, { keys: [evilKey] })), 'evil');
  t.equal(await readText(await bench.open('v1', { keys: [evilKey] })), 'evil');
  await t.rejects(bench.open(undefined, { offline: true }), { code: 'SOURCE_OFFLINE' });
  await t.rejects(bench.open('v1', { offline: true }), { code: 'SOURCE_OFFLINE' });
  publish(bench, made);
  const head = await bench.open();
  t.equal(head.verdict.status, 'verified', 'it is no rollback either');
  t.equal(await readText(head), 'two');
  t.equal(await readText(await bench.open('v1')), 'one', 'nor a tag that moved');
  // Both are kept, each for its own.
  bench.server.behave(() => true, 'reset');
  t.equal(await readText(await bench.open()), 'two');
  t.equal(await readText(await bench.open('v1', { keys: [evilKey] })), 'evil');
});

void t.test('what was accepted with a weak key counts where that is accepted', async (t) => {
  const bench = await openBench(t, made);
  const weak = join(bench.work, 'weak.pub');
  writeFileSync(weak, weakMasterKey.publicKey);
  const lines = whitelistLines(fqrn, [fingerprint()]);
  bench.files.set('.cvmfswhitelist', signWhitelist(lines, 'sha1', weakMasterKey));
  const options = { keys: [weak] };
  const accepted = await bench.open(undefined, { ...options, weakKey: true });
  t.ok(accepted.verdict.weakKeyAccepted, 'the verdict says so');
  t.match(accepted.verdict.summary, /weak RSA key/);
  bench.files.delete('.cvmfswhitelist');
  await t.rejects(bench.open(undefined, options), { code: 'WHITELIST_MISSING' });
  const again = await bench.open(undefined, { ...options, weakKey: true });
  t.equal(again.verdict.status, 'offline');
});

void t.test('a tag that moves is not rolled back', async (t) => {
  const bench = await openBench(t, made);
  t.equal(await readText(await bench.open('trunk')), 'two');
  bench.files.set('.cvmfspublished', first.manifest);
  for (const options of [{}, { offline: true }]) {
    const trunk = await bench.open('trunk', options);
    t.equal(trunk.verdict.status, 'offline');
    t.equal(await readText(trunk), 'two');
  }
  // Where it was never asked for, the last verified history answers.
  const cache = join(bench.work, 'head-only');
  bench.files.set('.cvmfspublished', second.manifest);
  await bench.open(undefined, { cache });
  bench.files.set('.cvmfspublished', first.manifest);
  t.equal(await readText(await bench.open('trunk', { cache })), 'two');
});

void t.test(
  'a tag that only an older head can name is good, and its verdict says how',
  async (t) => {
    const bench = await openBench(t, made);
    await bench.open();
    bench.files.set('.cvmfspublished', first.manifest);
    const kept = await bench.open('v1');
    t.equal(kept.verdict.status, 'offline', 'the last verified history names it');
    t.equal(await readText(kept), 'one');

    const cache = join(bench.work, 'lacks the history');
    bench.files.set('.cvmfspublished', second.manifest);
    await bench.open(undefined, { cache });
    bench.files.set('.cvmfspublished', first.manifest);
    bench.server.behave(objectOf('H', 'H'), 'missing');
    const older = await bench.open('v1', { cache });
    t.equal(older.verdict.status, 'offline');
    t.match(older.verdict.summary, /the source was rolled back: the server offers revision 1 of/);
    t.match(older.verdict.reasons, [{ code: 'ROLLBACK' }]);
    t.equal(await readText(older), 'one');
    await t.rejects(bench.open('trunk', { cache }), { code: 'ROLLBACK' }, 'not one that moves');
  },
);

void t.test(
  'a tag that the last verified history does not have is not taken from an older one',
  async (t) => {
    const bench = await openBench(t, made);
    const without = makeRepository({
      revisions: [{ tree: { file: file('one') } }, { tree: {} }, { tree: { file: file('three') } }],
    });
    publish(bench, without);
    await readText(await bench.open('trunk'));
    bench.files.set('.cvmfspublished', second.manifest);
    for (const [path, bytes] of made.files)
      if (path.startsWith('data/')) bench.files.set(path, bytes);
    await t.rejects(bench.open('v2'), { code: 'ROLLBACK' });
  },
);

void t.test(
  'a pin by hash needs no more than the hash, whatever was looked at before',
  async (t) => {
    const bench = await openBench(t, made);
    const keys = join(bench.work, '.config/pinfs/keys');
    mkdirSync(keys, { recursive: true });
    writeFileSync(join(keys, 'key.pub'), made.masterKey);
    const configured = { keys: [] };
    t.equal(await readText(await bench.open('v1', configured)), 'one');
    const pinned = await bench.open(first.rootHash.text, configured);
    t.equal(pinned.verdict.status, 'pinned');
    t.equal(await readText(pinned), 'one');
  },
);

void t.test('a tag judged as of another day binds nobody else', async (t) => {
  const bench = await openBench(t, made);
  bench.files.set('.cvmfswhitelist', expiredWhitelist(fqrn));
  const trustAt = '2020-01-15';
  t.equal(await readText(await bench.open('v1', { trustAt })), 'one');
  const moved = makeRepository({
    revisions: [{ tree: {} }, { tree: {} }, { tree: { file: file('three') }, tags: { v1: '' } }],
  });
  publish(bench, moved);
  t.equal(await readText(await bench.open('v1')), 'three');
  await t.rejects(bench.open('v1', { trustAt: '2030-06-01' }), { code: 'TAG_MOVED' });
});

void t.test('keys and blacklist are read again whenever a head is asked for', async (t) => {
  const bench = await openBench(t, made);
  const blacklist = join(bench.work, 'blacklist');
  writeFileSync(blacklist, '');
  bench.files.set('.cvmfspublished', first.manifest);
  const old = await bench.open(undefined, { blacklist });
  t.doesNotThrow(() => refuseBannedSnapshot(old));
  bench.files.set('.cvmfspublished', second.manifest);
  writeFileSync(blacklist, `<${fqrn} 2\n`);
  t.throws(() => refuseBannedSnapshot(old), { code: 'REVISION_BLACKLISTED' });
  const next = await refresh(old);
  t.equal(next?.descriptor.identity.revision, 2, 'what is not banned may be followed');
  if (next === undefined) return;
  writeFileSync(blacklist, fingerprint());
  t.throws(() => refuseBannedSnapshot(next), { code: 'CERTIFICATE_BLACKLISTED' });
  await t.rejects(refresh(next), { code: 'CERTIFICATE_BLACKLISTED' });
  writeFileSync(blacklist, '');
  writeFileSync(bench.key, otherMasterKey.publicKey);
  await t.rejects(refresh(next), { code: 'WHITELIST_SIGNATURE' });
  rmSync(bench.key);
  t.equal(await refresh(next), undefined, 'a key that is gone is still known');
  writeFileSync(blacklist, `<${fqrn} 3\n`);
  t.throws(() => refuseBannedSnapshot(next), { code: 'REVISION_BLACKLISTED' }, 'and lifts no ban');
  rmSync(blacklist);
  await t.rejects(refresh(next), { code: 'USAGE' });
});

void t.test('nothing usable is like nothing, whatever it looks like', async (t) => {
  const bench = await openBench(t, made);
  bench.files.set('.cvmfspublished', first.manifest);
  await readText(await bench.open());
  await readText(await bench.open('v1'));
  bench.files.set('.cvmfspublished', second.manifest);
  for (const bad of ['missing', 'html', 'bit-flipped', 'truncated', 'garbage'] as const) {
    bench.server.behave(objectOf('H', 'H'), bad);
    const tag = await bench.open('v1');
    t.equal(tag.verdict.status, 'offline', `the history: ${bad}`);
    bench.server.behave(objectOf('C', 'C'), bad);
    const head = await bench.open();
    t.equal(head.verdict.status, 'offline', `the root catalog: ${bad}`);
    t.equal(await readText(head), 'one');
    const options = {
      source: bench.server.url,
      keys: [bench.key],
      cache: join(bench.work, 'cache'),
    };
    const seen = await inspectSource(options, bench.environment);
    t.equal(seen.verdict.status, 'offline', 'info says the same');
    t.equal(seen.failure, undefined);
    bench.server.reset();
  }
});

void t.test('the tags of the last verified history are shown with no network', async (t) => {
  const bench = await openBench(t, made);
  await bench.open('v1');
  const options = { source: bench.server.url, keys: [bench.key], cache: join(bench.work, 'cache') };
  const names = async (more: object) =>
    (await inspectSource({ ...options, ...more }, bench.environment)).tags?.map(({ name }) => name);
  const all = await names({});
  t.ok(all?.includes('v2'));
  t.same(await names({ offline: true }), all);
  bench.files.set('.cvmfspublished', first.manifest);
  t.same(await names({}), all, 'nor those of an older head');
  t.match(await summary(bench), /the last revision verified here, 2/);
});

void t.test('a ban is not lifted by what another key vouches for', async (t) => {
  const bench = await openBench(t, made);
  const blacklist = join(bench.work, 'blacklist');
  writeFileSync(blacklist, '');
  const mounted = await bench.open(undefined, { blacklist });
  writeFileSync(blacklist, fingerprint());
  const banned = { code: 'CERTIFICATE_BLACKLISTED' };
  t.throws(() => refuseBannedSnapshot(mounted), banned);
  // The same content, signed by somebody else.
  const otherKey = join(bench.work, 'other.pub');
  writeFileSync(otherKey, otherMasterKey.publicKey);
  const revisions = [
    { tree: { file: file('one') }, tags: { v1: 'the first' } },
    { tree: { file: file('two') }, tags: { v2: 'the second' } },
  ];
  const other = makeRepository({
    master: otherMasterKey,
    certificate: otherCertificate,
    revisions,
  });
  t.equal(other.head.rootHash.text, made.head.rootHash.text);
  publish(bench, other);
  const blessed = await bench.open(undefined, { keys: [otherKey] });
  t.equal(blessed.verdict.status, 'verified');
  t.throws(() => refuseBannedSnapshot(mounted), banned);
  bench.server.behave(() => true, 'reset');
  await t.rejects(bench.open(undefined, { blacklist }), banned);
});
