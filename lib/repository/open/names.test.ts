import t from 'tap';
import { changedManifest, openBench } from '../../testing/bench.js';
import { file, makeRepository } from '../../publish/write-repository.js';

const made = makeRepository({
  revisions: [
    { tree: { f: file('1') }, tags: { 'of-2019': 'first' }, time: Date.UTC(2019, 5, 1) / 1000 },
    { tree: { f: file('2') }, time: Date.UTC(2020, 1, 1) / 1000 },
    {
      tree: { f: file('3') },
      tags: { 'of-2020': '' },
      time: Date.UTC(2020, 2, 31, 23, 59, 59) / 1000,
    },
    { tree: { f: file('4') }, time: Date.UTC(2021, 0, 1) / 1000 },
    { tree: { f: file('5') }, time: Date.UTC(2021, 0, 2) / 1000 },
  ],
});
const rootOf = (revision: number): string => made.revisions[revision - 1]?.rootHash.text ?? '';

void t.test('HEAD and what was before it', async (t) => {
  const bench = await openBench(t, made);
  for (const [pin, revision] of [
    ['HEAD', 5],
    ['HEAD~', 4],
    ['HEAD~3', 2],
    ['HEAD~4', 1],
  ] as const) {
    const { verdict, descriptor } = await bench.open(pin);
    t.match(verdict, { status: 'verified', revision, tag: undefined, rootHash: rootOf(revision) });
    t.match(verdict.summary, `found as ${pin}`);
    t.match(descriptor.identity, { pinned: true, tag: undefined });
  }
  await t.rejects(bench.open('HEAD~5'), {
    code: 'REVISION_UNKNOWN',
    message: /revision 1, 4 before/,
  });
  bench.server.behave(new RegExp(`${rootOf(4).slice(2)}C`), 'missing');
  const cache = `${bench.work}/other`;
  await t.rejects(bench.open('HEAD~2', { cache }), {
    code: 'REVISION_UNKNOWN',
    message: /before 5/,
  });
});

void t.test('what is counted from the head is no promise for the next time', async (t) => {
  const bench = await openBench(t, made);
  const fourth = made.revisions[3]?.manifest;
  const fifth = made.files.get('.cvmfspublished');
  if (fourth === undefined || fifth === undefined) throw new Error('no manifest');
  bench.files.set('.cvmfspublished', fourth);
  t.equal((await bench.open('HEAD~1')).verdict.revision, 3);
  bench.files.set('.cvmfspublished', fifth);
  t.equal((await bench.open('HEAD~1')).verdict.revision, 4);
});

void t.test('a tag comes before all that a name could mean as well', async (t) => {
  const short = rootOf(1).slice(0, 8);
  const tags = { HEAD: '', 'HEAD~1': '', 2020: '', [short]: '' };
  const revisions = [{ tree: { f: file('1') }, tags }, { tree: { f: file('2') } }];
  const bench = await openBench(t, makeRepository({ revisions }));
  for (const pin of Object.keys(tags))
    t.match((await bench.open(pin)).verdict, { revision: 1, tag: pin });
});

void t.test('a year and a month mean their last second', async (t) => {
  const bench = await openBench(t, made);
  const tagOf = async (pin: string): Promise<string | undefined> =>
    (await bench.open(pin)).verdict.tag;
  t.equal(await tagOf('2019'), 'of-2019');
  t.equal(await tagOf('2020-02'), 'of-2019');
  t.equal(await tagOf('2020-03'), 'of-2020');
  t.equal(await tagOf('2020'), 'of-2020');
  await t.rejects(bench.open('2018'), { code: 'DATE_TOO_EARLY' });
  await t.rejects(bench.open('2020-13'), { code: 'TAG_UNKNOWN' });
});

void t.test('a shortened hash is looked up among what a signature vouches for', async (t) => {
  const bench = await openBench(t, made);
  // Of a tag; and before the head, where no tag names it.
  t.match((await bench.open(rootOf(3).slice(0, 8))).verdict, {
    status: 'verified',
    tag: 'of-2020',
  });
  const untagged = await bench.open(rootOf(2).slice(0, 39));
  t.match(untagged.verdict, { status: 'verified', revision: 2, tag: undefined });
  t.match(untagged.verdict.summary, rootOf(2), 'all digits of it');
  const keyless = { keys: [], cache: `${bench.work}/keyless` };
  await t.rejects(bench.open(rootOf(3).slice(0, 8), keyless), { code: 'NO_KEY' }, 'it needs a key');
  await t.rejects(bench.open('0123456789'), { code: 'TAG_UNKNOWN' });
  await t.rejects(bench.open(rootOf(3).slice(0, 7)), { code: 'TAG_UNKNOWN' }, 'too short');
});

void t.test(
  'a head that was verified here is found when the source knows it no more',
  async (t) => {
    const bench = await openBench(t, made);
    const early = made.revisions[1];
    if (early === undefined) throw new Error('no revision');
    bench.files.set('.cvmfspublished', early.manifest);
    await bench.open();
    const head = made.revisions[4];
    if (head === undefined) throw new Error('no head');
    bench.files.set('.cvmfspublished', head.manifest);
    bench.server.behave(new RegExp(`${rootOf(4).slice(2)}C`), 'missing');
    t.match((await bench.open(rootOf(2).slice(0, 10))).verdict, {
      status: 'verified',
      revision: 2,
    });
  },
);

void t.test('digits that begin several root hashes say which', async (t) => {
  const digits = rootOf(1).slice(0, 8);
  const twin = digits + '0'.repeat(32);
  const historySql = `INSERT INTO tags VALUES ('twin', '${twin}', 1, 1, 0, '', 1, '')`;
  const first = { tree: { f: file('1') }, tags: { 'of-2019': 'first' } };
  const revisions = [
    { ...first, time: Date.UTC(2019, 5, 1) / 1000 },
    { tree: { f: file('2') }, historySql },
  ];
  const bench = await openBench(t, makeRepository({ revisions }));
  await t.rejects(bench.open(digits), { code: 'HASH_AMBIGUOUS', message: new RegExp(twin) });
  t.equal((await bench.open(rootOf(1).slice(0, 12))).verdict.tag, 'of-2019');
});

void t.test('offline, names are looked up in the last head that was verified', async (t) => {
  const bench = await openBench(t, made);
  await bench.open('HEAD~1');
  await bench.open('of-2020');
  const offline = { offline: true };
  t.match((await bench.open('HEAD~1', offline)).verdict, { status: 'offline', revision: 4 });
  t.match((await bench.open('2020', offline)).verdict, { status: 'offline', tag: 'of-2020' });
  const short = rootOf(3).slice(0, 9);
  t.match((await bench.open(short, offline)).verdict, { status: 'offline', revision: 3 });
  bench.files.set('.cvmfspublished', changedManifest(made.head, { S: '1' }));
  t.match((await bench.open('HEAD~2')).verdict, { status: 'offline', revision: 3 }, 'no rollback');
});
