import { createPrivateKey } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { testCertificate } from './keys.js';
import { amountOf, type InputAmount } from './input/amount.js';
import { publish, type PublishOptions } from './publish.js';
import { makeRepository } from './write-repository.js';

const fqrn = 'twice.example.org';
const firstDay = Date.UTC(2021, 0, 1) / 1000;

/** Two repositories that are published to alike: of one, what was seen of the tree is remembered. */
function openTwins(t: Test) {
  const work = t.testdir({ tree: {}, remembering: {}, forgetful: {}, state: {} });
  // What was made just now is not believed the next time.
  const { now } = Date;
  Date.now = () => now() + 10_000;
  t.teardown(() => (Date.now = now));
  const revisions = [{ tree: {}, time: firstDay }];
  const [one, other] = ['remembering', 'forgetful'].map((name) =>
    makeRepository({ fqrn, algorithm: 'sha1', revisions }).writeTo(join(work, name)),
  );
  let time = firstDay;
  const tree = join(work, 'tree');
  const publishBoth = async (more: Partial<PublishOptions> = {}) => {
    time += 86_400;
    const key = createPrivateKey(testCertificate.privateKey);
    const given = { fqrn, key, time, from: [tree], threads: 1, ...more };
    const remembering = await publish({
      ...given,
      storage: one ?? '',
      stateDirectory: join(work, 'state'),
    });
    const forgetful = await publish({ ...given, storage: other ?? '' });
    t.equal(remembering.rootHash.text, forgetful.rootHash.text, 'the same root hash');
    t.equal(remembering.entries, forgetful.entries, 'as many entries');
    return { ...remembering, read: remembering.counts.files };
  };
  return { tree, publishBoth };
}

/** Three packages with a catalog each, one of them in another, and one with none. */
function makeTree(tree: string): void {
  for (const path of ['a', 'b', 'b/inner', 'c', 'plain']) {
    mkdirSync(join(tree, path), { recursive: true });
    if (path !== 'plain') writeFileSync(join(tree, path, '.cvmfscatalog'), '');
    for (const name of ['one', 'two']) writeFileSync(join(tree, path, name), `${path} ${name}`);
    symlinkSync('one', join(tree, path, 'link'));
  }
}

function relink(path: string): void {
  rmSync(path);
  symlinkSync('two', path);
}

// The empty file that marks a catalog is stored in each publication.
const marker = 1;

t.test('what is remembered changes nothing but the time that it takes', async (t) => {
  const { tree, publishBoth } = openTwins(t);
  makeTree(tree);
  const steps: readonly (readonly [what: string, edit: () => void, read: number])[] = [
    ['all is new', () => undefined, 14],
    ['nothing changed', () => undefined, 0],
    ['a file', () => writeFileSync(join(tree, 'a/two'), 'other text'), 1],
    ['a file in an inner catalog', () => writeFileSync(join(tree, 'b/inner/two'), 'other'), 1],
    ['a new file', () => writeFileSync(join(tree, 'c/zzz'), 'new'), 1],
    ['the last file is gone', () => rmSync(join(tree, 'c/zzz')), 0],
    ['the first file is gone', () => rmSync(join(tree, 'b/inner/.cvmfscatalog')), 0],
    ['a link', () => relink(join(tree, 'c/link')), 0],
    ['a file outside of them', () => writeFileSync(join(tree, 'plain/one'), 'other'), 1],
    ['a directory is gone', () => rmSync(join(tree, 'a'), { recursive: true }), 0],
    ['rules for catalogs', () => writeFileSync(join(tree, '.cvmfsdirtab'), '/plain\n'), 1],
    ['other rules', () => writeFileSync(join(tree, '.cvmfsdirtab'), '! /plain\n'), 1],
  ];
  for (const [what, edit, read] of steps) {
    edit();
    t.equal((await publishBoth()).read, read + marker, what);
  }
  const { read } = await publishBoth({ checksum: true });
  t.ok(read > 8, 'all is read where that is asked for');
});

t.test('of what others changed, or lies over it, nothing is believed', async (t) => {
  const { tree, publishBoth } = openTwins(t);
  makeTree(tree);
  await publishBoth();
  await publishBoth({ from: [], deletes: ['/a'] });
  await publishBoth();
  await publishBoth({ deletes: ['/c'] });
  await publishBoth({ at: '/below' });
  await publishBoth({ at: '/below' });
});

t.test('progress ends with all that was counted, whether it had to be read or not', async (t) => {
  const { tree, publishBoth } = openTwins(t);
  makeTree(tree);
  writeFileSync(join(tree, 'plain/large'), Buffer.alloc(20_000, 'some text in chunks'));
  const told = async (): Promise<InputAmount | undefined> => {
    let last: InputAmount | undefined;
    const chunkSizes = { min: 1024, average: 2048, max: 4096 };
    await publishBoth({ chunkSizes, progress: (done) => (last = done) });
    return last;
  };
  const all = amountOf([tree], 10_000);
  t.match(all, { entries: 26, bytes: 20_070 });
  t.same(await told(), all, 'all is new');
  t.same(await told(), all, 'nothing changed');
  t.equal(amountOf([tree, join(tree, 'a/one')], 10_000), undefined, 'of archives nobody knows it');
  t.equal(amountOf(['-'], 10_000), undefined);
  t.equal(amountOf([join(tree, 'none')], 10_000), undefined);
});

t.test('one that can not begin leaves nothing behind that keeps a process alive', async (t) => {
  const work = t.testdir({ tree: { file: 'one' }, storage: {}, state: 'no directory' });
  const revisions = [{ tree: {}, time: firstDay }];
  const storage = makeRepository({ fqrn, revisions }).writeTo(join(work, 'storage'));
  const key = createPrivateKey(testCertificate.privateKey);
  const timers = (): number =>
    process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  const options = { fqrn, key, storage, from: [join(work, 'tree')], threads: 1 };
  await t.rejects(publish({ ...options, stateDirectory: join(work, 'state') }), { code: 'EEXIST' });
  t.equal(timers(), before);
});
