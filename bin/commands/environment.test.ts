import { join } from 'node:path';
import { Command } from 'commander';
import t from 'tap';
import { mountOptionTable } from '../../lib/options/mount-options.js';
import type { OptionRows } from '../../lib/options/option.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { pinfsInProcess } from '../../native-test/in-process.js';
import { applyEnvironment } from './environment.js';
import { mountCommand, mountSpec, withMountOptions } from './mount.js';

type Variables = Readonly<Record<string, string>>;

/** What `pinfs mount ARGS` asks the library for, with these variables. */
async function specOf(variables: Variables, ...args: string[]) {
  const command = mountCommand(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => 0 });
  command.parse([...args, 'dir', 'mnt'], { from: 'user' });
  applyEnvironment(command, variables);
  const merged = await withMountOptions('dir', 'mnt', command);
  const { options, mount } = mountSpec(merged.source, 'mnt', merged.flags);
  const { keys, cache, cacheLimit } = options;
  return { keys, cache, cacheLimit, driver: mount.driver };
}

const all: Variables = {
  PINFS_KEY: 'a.pub:keys',
  PINFS_CACHE: 'cache',
  PINFS_CACHE_LIMIT: '1536K',
  PINFS_DRIVER: 'kernel',
};
const meant = {
  keys: ['a.pub', 'keys'],
  cache: 'cache',
  cacheLimit: 1536 * 1024,
  driver: 'kernel',
};

void t.test('the environment stands for what the command line leaves out', async (t) => {
  t.same(await specOf(all), meant);
  const none = { keys: [], cache: undefined, cacheLimit: undefined, driver: 'auto' };
  t.same(await specOf({}), none);
  const empty = Object.fromEntries(Object.keys(all).map((name) => [name, '']));
  t.same(await specOf(empty), none, 'an empty variable says nothing');
  t.same(await specOf({ PINFS_KEY: ':a::b:' }), { ...none, keys: ['a', 'b'] });
});

void t.test('the command line counts more, in either form', async (t) => {
  t.same(await specOf(all, '--key', 'b', '--driver', 'auto'), {
    ...meant,
    keys: ['b'],
    driver: 'auto',
  });
  t.same(await specOf(all, '-o', 'key=b,key=c,cache_limit=1G'), {
    ...meant,
    keys: ['b', 'c'],
    cacheLimit: 1024 ** 3,
  });
  t.same(await specOf(all, '--key', 'b', '-o', 'key=c,driver=fuse-native'), {
    ...meant,
    keys: ['b', 'c'],
    driver: 'fuse-native',
  });
});

void t.test('a value that is none is said with the name of its variable', async (t) => {
  const other = '\ufffd';
  for (const [name, value, message] of [
    ['PINFS_CACHE_LIMIT', 'much', /the variable PINFS_CACHE_LIMIT: .*much/],
    ['PINFS_DRIVER', 'none', /the variable PINFS_DRIVER: 'none': .*fuse-native, kernel/],
    ['PINFS_CACHE', other, /the variable PINFS_CACHE: .*not UTF-8/],
    ['PINFS_KEY', `a:${other}`, /the variable PINFS_KEY: .*not UTF-8/],
  ] as const) {
    await t.rejects(specOf({ [name]: value }), { code: 'USAGE', message }, name);
    t.ok(
      await specOf(
        { [name]: value },
        '--cache',
        'c',
        '--cache-limit',
        '1G',
        '--key',
        'k',
        '--driver',
        'auto',
      ),
    );
  }
});

void t.test('each variable is of one option, which takes a value', (t) => {
  const tables: OptionRows[] = [sourceOptionTable, mountOptionTable];
  const rows = tables
    .flatMap((table) => Object.values(table))
    .filter(({ environment }) => environment !== undefined);
  t.equal(new Set(rows.map(({ environment }) => environment)).size, rows.length);
  t.ok(rows.every(({ kind }) => kind !== 'flag'));
  t.end();
});

void t.test('every command that has the option hears of it', async (t) => {
  const cache = t.testdir({});
  const size = await pinfsInProcess(['cache', 'size', '--json'], { PINFS_CACHE: cache });
  t.match(JSON.parse(size.stdout), { directory: cache });
  const ls = await pinfsInProcess(['ls', cache], { PINFS_CACHE_LIMIT: 'much' });
  const bench = await pinfsInProcess(['bench', join(cache, 'none')], { PINFS_CACHE: cache });
  t.notMatch(bench.stderr, /new, empty cache/, 'a benchmark has caches of its own');
  t.equal(ls.code, 2);
  t.match(ls.stderr, /PINFS_CACHE_LIMIT/);
});
