import t, { type Test } from 'tap';
import { directory, file, nested, type TreeSpec } from '../publish/spec.js';
import { makeRepository } from '../publish/write-repository.js';
import type { FirstUse, Profile } from '../profile/profile.js';
import type { Want } from '../store/want.js';
import { openMade } from '../testing/fakes/opened-tree.js';
import { openProfileAhead } from './profile-ahead.js';

const bytesMax = 1024 * 1024;
const size = 1000;

function use(path: string, more: Partial<FirstUse> = {}): FirstUse {
  return { path, kind: 'file', chunk: 0, gapMs: 1, fingerprint: '', ...more };
}

function name(index: number): string {
  return `f${String(index).padStart(3, '0')}`;
}

/** 400 files, a nested catalog and a file in chunks, and a job that has this profile. */
function job(t: Test, paths: readonly (string | FirstUse)[]) {
  const files: TreeSpec = Object.fromEntries(
    Array.from({ length: 400 }, (_, index) => [name(index), file(Buffer.alloc(size, name(index)))]),
  );
  const tree: TreeSpec = {
    d: directory(files),
    n: nested({ one: file('one'), two: file('two') }),
    big: file(Buffer.alloc(3000, 'big'), { chunks: [1000] }),
    link: { type: 'symlink', target: '../../etc/passwd' },
  };
  const made = openMade(t, makeRepository({ revisions: [{ tree }] }));
  const shelf = { ...made.shelf, isRecorded: (want: Want) => made.shelf.has(want) };
  const uses = paths.map((path) => (typeof path === 'string' ? use(path) : path));
  const profile: Profile = {
    header: { repository: '', rootHash: '', made: '', writer: '' },
    uses,
  };
  const ahead = openProfileAhead(profile, made.tree, shelf);
  return {
    ahead,
    shelf: made.shelf,
    take: (most = bytesMax): string[] => ahead.take(most).map(({ path }) => path),
    read: (path: string): void => {
      const { node } = made.shelf.must(() => made.tree.resolve(path));
      ahead.read(node, 0, 1);
    },
  };
}

const inOwnOrder = Array.from({ length: 100 }, (_, index) => `/d/${name((index * 37) % 100)}`);

void t.test('what is foretold is asked for in its order, as much as may wait to be read', (t) => {
  const { take, read, ahead } = job(t, inOwnOrder);
  const first = take(10 * size);
  t.same(first, inOwnOrder.slice(0, 10), 'no more bytes than are allowed');
  t.same(take(10 * size), [], 'nothing was read');
  read(inOwnOrder[0] ?? '');
  read(inOwnOrder[1] ?? '');
  t.same(take(10 * size), inOwnOrder.slice(10, 12));
  t.match(ahead.counts, { asked: 12, used: 2, usedBytes: 2 * size, uses: 100, stopped: 0 });
  t.same(take(0), [], '--ahead off');
  t.end();
});

void t.test('no more objects wait than are allowed, however small', (t) => {
  const { ahead } = job(
    t,
    Array.from({ length: 400 }, (_, index) => `/d/${name(index)}`),
  );
  let asked = 0;
  for (let turn = 0; turn < 50; turn++) asked += ahead.take(2 ** 30).length;
  t.equal(asked, 400);
  t.end();
});

void t.test('a job that is quicker overtakes it', (t) => {
  const { take, read, ahead } = job(t, inOwnOrder);
  for (const path of inOwnOrder.slice(0, 30)) read(path);
  t.same(take(2 * size), inOwnOrder.slice(30, 32), 'what was read is not asked for');
  t.equal(ahead.counts.overtaken, 30);
  t.end();
});

void t.test('a job that goes another way is left alone', (t) => {
  const { take, read, ahead } = job(t, inOwnOrder);
  take(5 * size);
  for (let index = 200; index < 231; index++) read(`/d/${name(index)}`);
  t.equal(ahead.counts.stopped, 0);
  t.equal(ahead.isActive, true);
  read(`/d/${name(300)}`);
  t.match(ahead.counts, { strayed: 32, stopped: 1 });
  t.same(take(), []);
  t.equal(ahead.isActive, false);
  t.end();
});

void t.test('some other files in between do not stop it', (t) => {
  const { read, ahead } = job(t, inOwnOrder);
  for (const [index, path] of inOwnOrder.entries()) {
    read(path);
    if (index % 2 === 0) read(`/d/${name(200 + index)}`);
  }
  t.match(ahead.counts, { strayed: 50, stopped: 0 });
  t.end();
});

void t.test(
  'what was not read when the job is far behind it makes room, and ends it if it is most',
  (t) => {
    const paths = Array.from({ length: 400 }, (_, index) => `/d/${name(index)}`);
    const { take, read, ahead } = job(t, paths);
    for (let turn = 0; turn < 20; turn++) take(2 ** 30);
    t.equal(ahead.counts.asked, 400);
    read('/d/f399');
    t.equal(ahead.counts.stopped, 0, '144 were passed over, and some may come late');
    t.end();
  },
);

void t.test(
  'a catalog that is lacking is asked for once, and what lies in it when it is here',
  (t) => {
    const { ahead, take, shelf } = job(t, ['/n/one', '/d/f001', '/n/two']);
    const wants = ahead.take(bytesMax);
    t.same(
      wants.map(({ object, path }) => `${object.kind} ${path}`),
      ['catalog /n', 'data /d/f001'],
    );
    t.same(take(), [], 'it is not here yet');
    t.equal(ahead.isActive, true);
    for (const want of wants) shelf.provide(want);
    t.same(take(), ['/n/one', '/n/two']);
    t.equal(ahead.isActive, false);
    t.end();
  },
);

void t.test('a use that is a catalog fetches it', (t) => {
  const { ahead } = job(t, [use('/n', { kind: 'catalog' }), use('/d', { kind: 'catalog' })]);
  t.match(ahead.take(bytesMax), [{ path: '/n', object: { kind: 'catalog' } }]);
  t.end();
});

void t.test('a hostile or old one names nothing that the tree has not', (t) => {
  const names = [
    ...['/etc/passwd', '/d/none', '/link', '/link/x', '/d/f001/x', '/d', '', '//d//f002'],
    ...['/d/../d/f003', '/../../etc/shadow', `/${'x'.repeat(300)}`],
  ];
  const { ahead, take } = job(t, [...names, use('/d/f004', { fingerprint: 'ff'.repeat(8) })]);
  const asked = take();
  t.ok(
    asked.every((path) => /^\/d\/f00[1-4]$/.test(path)),
    asked.join(),
  );
  t.ok(asked.includes('/d/f004'), 'found by its path, whatever the fingerprint says');
  t.ok(ahead.counts.absent >= 9, `${ahead.counts.absent}`);
  t.equal(ahead.counts.stopped, 0);
  t.end();
});

void t.test('of a file in chunks the one that was learned, else the one at its place', (t) => {
  const { ahead, shelf } = job(t, [
    use('/big', { chunk: 2, fingerprint: 'ff'.repeat(8) }),
    use('/big', { chunk: 99 }),
  ]);
  const [second, ...rest] = ahead.take(bytesMax);
  t.equal(second?.object.kind, 'chunk');
  t.equal(rest.length, 1, 'an empty fingerprint is met by the first');
  t.equal(ahead.counts.changed, 1);
  if (second !== undefined) shelf.provide(second);
  t.end();
});
