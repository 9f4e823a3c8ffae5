import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import { diagnose } from './doctor.js';
import { probeMachine } from './probes.js';

void t.test(
  'this machine is looked at without a mount, and its modules by other processes',
  async (t) => {
    const { path, remove } = temporaryDirectory();
    t.teardown(remove);
    const probes = await probeMachine(join(path, 'cache'));
    t.equal(probes.node, process.versions.node);
    t.match(probes.cache, { directory: join(path, 'cache'), state: 'to-be-made' });
    t.ok(probes.cache.free > 0);
    t.ok(probes.clock.installed < probes.clock.now);
    const sqlite = probes.modules.find(({ name }) => name === 'better-sqlite3');
    t.same(sqlite, { name: 'better-sqlite3', loads: true, problem: undefined });
    const trials = Object.keys(probes.trials).length;
    t.equal(diagnose(probes).findings.length, 15 + trials);
    t.equal(probes.cache.database, undefined);
    t.type(probes.cache.verity, 'boolean');
    t.same(readdirSync(path), [], 'nothing is left there');
  },
);

void t.test('caches that are there', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const cache = join(path, 'cache');
  mkdirSync(cache, { mode: 0o700 });
  t.equal((await probeMachine(cache)).cache.state, 'usable');
  chmodSync(cache, 0o770);
  t.equal((await probeMachine(cache)).cache.state, 'open-to-group');
});

void t.test('a fusermount in the path is found, with its set-uid bit', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const before = process.env['PATH'];
  t.teardown(() => {
    process.env['PATH'] = before;
  });
  process.env['PATH'] = `/nowhere:${path}`;
  t.equal((await probeMachine(path)).fusermount, undefined);
  writeFileSync(join(path, 'fusermount3'), '');
  t.match((await probeMachine(path)).fusermount, {
    path: join(path, 'fusermount3'),
    setuid: false,
  });
});

void t.test('a state that can not be used is found as well', async (t) => {
  const work = t.testdir({ state: {} });
  chmodSync(join(work, 'state'), 0o777);
  const { state } = await probeMachine(work);
  t.match(state, { directory: join(work, 'state'), state: 'open-to-group' });
});
