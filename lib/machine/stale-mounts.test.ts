import t from 'tap';
import { mountHealth, recoverStale } from './stale-mounts.js';

void t.test('a directory that answers is alive', async (t) => {
  t.equal(await mountHealth('/'), 'alive');
  t.equal(await mountHealth('/nowhere'), 'alive', 'an error is an answer');
});

void t.test('a living directory is not taken for a stale mount', async (t) => {
  t.equal(await recoverStale(t.testdir({})), false);
  t.equal(await recoverStale('/proc'), false);
  t.equal(await recoverStale('/absent/absent'), false);
});
