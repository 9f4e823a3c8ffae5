import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { parseHash } from '../../format/hash.js';
import { historySchema } from '../../publish/catalogs/catalog-schema.js';
import { readHistory } from './history.js';
import type { Opening } from './opening.js';

const fqrn = 'made.example.org';
const { signal } = new AbortController();

function historyFile(t: Test): string {
  const path = join(t.testdir(), 'history');
  const database = new Database(path);
  database.exec(
    `${historySchema} INSERT INTO properties VALUES ('schema','1.0'), ('fqrn','${fqrn}');`,
  );
  database.close();
  return path;
}

/** A cache that others use as well: where the history is, one time after the other. */
function opening(paths: (string | undefined)[]) {
  const calls: string[] = [];
  const note = (call: string) => (): void => {
    calls.push(call);
  };
  const store = {
    shelf: { path: () => paths.shift() },
    fetch: () => {
      calls.push('fetch');
      return Promise.resolve();
    },
    hold: note('hold'),
    release: note('release'),
  };
  return { calls, value: { fqrn, store } as unknown as Opening };
}

void t.test('a history that left the cache before it was opened is fetched again', async (t) => {
  const path = historyFile(t);
  const { calls, value } = opening([join(t.testdirName, 'evicted'), undefined, path]);
  t.same((await readHistory(value, parseHash('a'.repeat(40)), signal)).tags, []);
  t.same(calls, ['hold', 'fetch', 'fetch', 'fetch', 'release']);
});

void t.test('one that never stays is a fault of the cache, with a name', async (t) => {
  const { calls, value } = opening([]);
  const error = { code: 'CACHE_UNUSABLE', message: /left the cache/ };
  await t.rejects(readHistory(value, parseHash('a'.repeat(40)), signal), error);
  t.equal(calls.at(-1), 'release');
});
