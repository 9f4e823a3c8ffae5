import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { inodeWords } from '../../tree/inode-table.js';
import { collidingNames, lowerWord } from '../../testing/colliding.js';
import {
  bind,
  directory,
  file,
  makeRepository,
  nested,
  symlink,
  type TreeSpec,
} from '../../publish/write-repository.js';
import { check } from '../use/check.js';
import { inodeFile } from './inode-files.js';
import { openRepository } from '../open.js';
import { walk } from '../use/path.js';
import type { OpenOptions } from '../open/options.js';
import type { Repository } from '../repository.js';
import { numbersOf } from './settle-inodes.js';

const [left, right] = collidingNames('/left', '/right/deep');
const tree: TreeSpec = {
  left: nested({ [left]: file('one'), a: symlink('b') }),
  right: directory({ deep: nested({ [right]: file('two'), c: file('c'), d: nested({}) }) }),
  x: file('linked', { linkGroup: 1 }),
  y: file('linked', { linkGroup: 1 }),
};
const made = makeRepository({ revisions: [{ tree }] });

interface Scene {
  /** With numbers of 32 bits, unless told otherwise. */
  readonly open: (cache: string, more?: Partial<OpenOptions>) => Promise<Repository>;
}

function scene(t: Test, repository = made): Scene {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-settle-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const key = join(work, 'master.pub');
  writeFileSync(key, repository.masterKey);
  const source = repository.writeTo(join(work, 'source'));
  return {
    open: async (cache, more = { inodes: 32 }) => {
      const options = { source, keys: [key], cache: join(work, cache), ...more };
      const opened = await openRepository(options);
      t.teardown(() => opened.close());
      return opened;
    },
  };
}

async function inode(repository: Repository, path: string): Promise<number> {
  return Number((await walk(repository, path, false)).ino);
}

async function loadAll(repository: Repository): Promise<void> {
  const { problems } = await check(repository, {
    path: '',
    catalogsOnly: true,
    external: false,
    progress: () => undefined,
  });
  if (problems.length > 0) throw new Error(JSON.stringify(problems));
}

const paths = [`/left/${left}`, `/right/deep/${right}`, '/x', '/y', '/right/deep/d', '/left', '/'];

async function all(repository: Repository, order: readonly string[]): Promise<unknown> {
  const numbers = new Map<string, number>();
  for (const path of order) numbers.set(path, await inode(repository, path));
  return Object.fromEntries(paths.map((path) => [path, numbers.get(path)]));
}

t.test('with all catalogs at hand the numbers depend on the snapshot alone', async (t) => {
  const { open } = scene(t);
  const results: unknown[] = [];
  for (const [cache, order] of [
    ['one', paths],
    ['two', paths.toReversed()],
  ] as const) {
    const before = await open(cache);
    t.equal(before.inodes?.whole, false, 'at first they are not at hand');
    await before.close();
    const checked = await open(cache, {});
    await loadAll(checked);
    await checked.close();
    const repository = await open(cache);
    t.equal(repository.inodes?.whole, true);
    results.push(await all(repository, order));
    t.match(repository.inodes?.state.status, { moved: 1, kept: true });
    await repository.close();
    const again = await open(cache);
    t.equal(again.inodes?.whole, true, 'that is remembered');
    t.same(await all(again, order.toReversed()), results.at(-1));
  }
  t.same(results[0], results[1]);
  const numbers = Object.values(results[0] ?? {});
  t.equal(new Set(numbers).size, numbers.length - 1, 'only the hard links share one');
});

t.test('otherwise the first to be seen keeps its own', async (t) => {
  const { open } = scene(t);
  const low = lowerWord(`/left/${left}`);
  const one = await open('one');
  t.equal(await inode(one, `/left/${left}`), low);
  await one.close();
  const again = await open('one');
  t.equal(await inode(again, `/right/deep/${right}`), low + 1, 'seen first in this mount');
  t.equal(await inode(again, `/left/${left}`), low);
  await loadAll(again);
  await again.close();
  const later = await open('one');
  t.equal(later.inodes?.whole, false, 'what was given once stays');
  t.equal(await inode(later, `/right/deep/${right}`), low + 1);
  const other = await open('other');
  t.equal(await inode(other, `/right/deep/${right}`), low, 'another machine saw it first');
});

t.test('without the option the numbers have their 63 bits', async (t) => {
  const { open } = scene(t);
  const repository = await open('cache', {});
  t.equal(repository.inodes, undefined);
  const { ino } = await walk(repository, '/x', false);
  t.not(inodeWords(ino)[1], 0);
});

t.test('a broken catalog is so for everybody; what is bound is seen when it is seen', async (t) => {
  const broken = makeRepository({
    revisions: [
      { tree: { old: file('old') } },
      {
        tree: { a: nested({ f: file('f') }), b: nested({ g: file('g') }), bound: bind(1) },
        sql: "UPDATE nested_catalogs SET sha1 = 'none' WHERE path = '/b'",
      },
    ],
  });
  const { open } = scene(t, broken);
  const first = await open('cache', {});
  await walk(first, '/a/f', false);
  await first.close();
  const second = await open('cache');
  t.equal(second.inodes?.whole, true);
  const place = second.descriptor.inodes;
  const before = place && readFileSync(inodeFile(place)).length;
  t.equal(await inode(second, '/bound/old'), lowerWord('/bound/old'));
  await second.close();
  t.equal(place && readFileSync(inodeFile(place)).length, (before ?? 0) + 24, 'one batch of one');
});

t.test('the smallest number of 63 bits keeps the lower word that several have', (t) => {
  const inodes = BigUint64Array.from([
    (3n << 32n) | 7n,
    (1n << 32n) | 8n,
    (2n << 32n) | 7n,
    (2n << 32n) | 7n,
    (9n << 32n) | 7n,
    5n << 32n,
  ]);
  t.same(
    [...numbersOf(inodes)],
    [
      { low: 7, high: 2, number: 7 },
      { low: 8, high: 1, number: 8 },
      { low: 0, high: 5, number: 2 },
      { low: 7, high: 3, number: 9 },
      { low: 7, high: 9, number: 10 },
    ],
  );
  t.end();
});
