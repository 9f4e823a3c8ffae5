import t from 'tap';
import { objectPath } from '../../format/hash.js';
import { directory, file, makeRepository } from '../../publish/write-repository.js';
import { openBench } from '../../testing/bench.js';
import { makeReadOnly } from '../../testing/read-only.js';
import type { Repository } from '../repository.js';
import { explainPath } from './explain.js';
import { walk } from './path.js';

const made = makeRepository({
  revisions: [{ tree: { 'a.txt': file('some text'), sub: directory({ 'b.txt': file('more') }) } }],
});

async function objectOf(repository: Repository, path: string): Promise<string> {
  const { content } = await walk(repository, path, true);
  if (content?.hash === undefined) throw new Error('no content');
  return objectPath({ hash: content.hash, kind: 'data' });
}

void t.test('a path is explained: catalogs, object, and who would be asked', async (t) => {
  const bench = await openBench(t, made);
  const repository = await bench.open();
  const before = bench.server.requests.length;
  const first = explainPath(repository, '/sub/b.txt');
  t.match(first, {
    verdict: 'slow',
    type: 'file',
    size: 4,
    problem: null,
    absent: { objects: 1, bytes: 4 },
    objects: [
      { role: 'catalog', path: '/', here: true, way: null },
      { role: 'object', path: '/sub/b.txt', here: false, way: bench.server.url, outcome: null },
    ],
  });
  t.equal(bench.server.requests.length, before, 'nobody is asked');
  const found = await walk(repository, '/sub/b.txt', true);
  await repository.run(() => repository.filesystem.read(found.node, 0, 10, Buffer.alloc(10), 0));
  t.match(explainPath(repository, '/sub/b.txt'), { verdict: 'here', absent: { objects: 0 } });
  t.match(explainPath(repository, '/sub'), { verdict: 'here', type: 'directory' });
  t.match(explainPath(repository, '/none/x'), {
    verdict: 'fails',
    problem: { code: 'NOT_FOUND' },
  });
});

void t.test('why it fails, or is waited for, is told', async (t) => {
  const bench = await openBench(t, made);
  const repository = await bench.open();
  const object = await objectOf(repository, '/a.txt');
  const { node } = await walk(repository, '/a.txt', true);
  const read = () =>
    repository.run(() => repository.filesystem.read(node, 0, 10, Buffer.alloc(10), 0));
  bench.server.behave(object, 'missing');
  await read();
  t.match(explainPath(repository, '/a.txt'), {
    verdict: 'fails',
    problem: { code: 'OBJECT_MISSING' },
    objects: [{ here: true }, { outcome: { state: 'failed', code: 'OBJECT_MISSING' } }],
  });
  bench.server.behave(object, 'hang');
  const other = await bench.open(undefined, { cache: `${bench.work}/other` });
  const found = await walk(other, '/a.txt', true);
  const waiting = other.run(() => other.filesystem.read(found.node, 0, 10, Buffer.alloc(10), 0));
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.match(explainPath(other, '/a.txt'), {
    verdict: 'slow',
    summary: /being fetched/,
    objects: [{ here: true }, { outcome: { state: 'fetching' } }],
  });
  await other.close();
  await waiting.catch(() => undefined);
});

void t.test('what lies in a cache below is here', async (t) => {
  const bench = await openBench(t, made);
  const filled = await bench.open(undefined, { cache: `${bench.work}/filled` });
  const read = async (repository: Repository): Promise<void> => {
    const { node } = await walk(repository, '/a.txt', true);
    await repository.run(() => repository.filesystem.read(node, 0, 10, Buffer.alloc(10), 0));
  };
  await read(filled);
  await filled.close();
  const upper = await bench.open(undefined, { cacheLower: [`${bench.work}/filled`] });
  t.match(explainPath(upper, '/a.txt'), { verdict: 'here', absent: { objects: 0 } });
  t.match(explainPath(upper, '/sub/b.txt'), { verdict: 'slow', absent: { objects: 1 } });
});

void t.test('what nobody waits for any more is not being fetched', async (t) => {
  const bench = await openBench(t, made);
  const repository = await bench.open(undefined, { deadline: 500 });
  bench.server.behave(await objectOf(repository, '/a.txt'), 'hang');
  const { node } = await walk(repository, '/a.txt', true);
  const read = () =>
    repository.run(() => repository.filesystem.read(node, 0, 10, Buffer.alloc(10), 0));
  await read();
  t.match(explainPath(repository, '/a.txt'), {
    verdict: 'fails',
    objects: [{ here: true }, { outcome: { state: 'failed', code: 'SOURCE_TIMEOUT' } }],
  });
  bench.server.reset();
  for (let i = 0; i < 20 && explainPath(repository, '/a.txt').verdict !== 'here'; i++) await read();
  t.match(explainPath(repository, '/a.txt'), { verdict: 'here' });
});

void t.test('what passed through the spare is here, as long as that is', async (t) => {
  const bench = await openBench(t, made);
  const cache = `${bench.work}/cache`;
  await (await bench.open()).close();
  if (!makeReadOnly(t, cache)) {
    t.comment('no directory can be made read-only here');
    return;
  }
  const repository = await bench.open(undefined, { cache });
  t.match(explainPath(repository, '/a.txt'), { verdict: 'slow', absent: { objects: 1 } });
  const { node } = await walk(repository, '/a.txt', true);
  await repository.run(() => repository.filesystem.read(node, 0, 10, Buffer.alloc(10), 0));
  t.match(repository.store.statistics.notStored, { objects: Number });
  t.match(explainPath(repository, '/a.txt'), { verdict: 'here', absent: { objects: 0 } });
});
