import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { inflateSync } from 'node:zlib';
import { openBench, readText, type Bench } from '../testing/bench.js';
import { makeReadOnly } from '../testing/read-only.js';
import { file, makeRepository, nested } from '../publish/write-repository.js';
import { refresh } from './follow.js';

// Cases of the reference, by their names there. 041-rocache stands in native-test/read-only-cache.test.ts,
// 705-evict in bin/cache.test.ts.

const made = makeRepository({
  revisions: [
    { tree: { file: file('one'), n: nested({ below: file('nested') }) } },
    { tree: { file: file('two'), n: nested({ below: file('nested') }) } },
  ],
});
const [first, second] = made.revisions;
const content = /^data\/..\/[0-9a-f]+$/;

/** A cache in which the whole head is, and that can only be read from then on. */
async function filledReadOnly(t: Test, bench: Bench): Promise<string | undefined> {
  const cache = join(bench.work, 'cache');
  const repository = await bench.open();
  await readText(repository, '/n/below');
  await repository.close();
  return makeReadOnly(t, cache) ? cache : undefined;
}

void t.test('068-rocache: a cache that can only be read and has content is used', async (t) => {
  const bench = await openBench(t, made);
  const cache = await filledReadOnly(t, bench);
  if (cache === undefined) {
    t.comment('no directory can be made read-only here');
    return;
  }
  bench.server.reset();
  const repository = await bench.open(undefined, { cache });
  t.equal(await readText(repository, '/n/below'), 'nested');
  t.equal(bench.server.count(/^data\//), 0, 'nothing is fetched for it');
  await repository.close();
});

void t.test('690-streamingcache: content passes through and is not kept', async (t) => {
  const bench = await openBench(t, made);
  const cache = await filledReadOnly(t, bench);
  if (cache === undefined) {
    t.comment('no directory can be made read-only here');
    return;
  }
  const before = readdirSync(cache, { recursive: true }).sort();
  bench.server.reset();
  for (const times of [1, 2]) {
    const repository = await bench.open(undefined, { cache });
    t.equal(await readText(repository), 'two');
    t.match(repository.store.statistics.notStored, { reason: /can only be read/ });
    await repository.close();
    t.equal(bench.server.count(content), times, 'it is fetched each time');
  }
  t.same(readdirSync(cache, { recursive: true }).sort(), before);
});

/** Puts all objects of a repository where the reference keeps them: decompressed, by their hash alone. */
function preload(directory: string, files: ReadonlyMap<string, Buffer>): void {
  for (const [path, stored] of files) {
    const [, start, rest] = /^data\/(..)\/([0-9a-f]{38})[A-Z]?$/.exec(path) ?? [];
    if (start === undefined || rest === undefined) continue;
    const target = join(directory, start, rest);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, inflateSync(stored));
  }
}

void t.test(
  '678-preloadautoupdate: a preloaded cache that is filled from outside moves the head',
  async (t) => {
    const bench = await openBench(t, made);
    if (first === undefined || second === undefined) return;
    const lower = join(bench.work, 'preloaded');
    mkdirSync(lower);
    const early = makeRepository({
      revisions: [{ tree: { file: file('one'), n: nested({ below: file('nested') }) } }],
    });
    preload(lower, early.files);
    bench.files.set('.cvmfspublished', first.manifest);
    // The source has what vouches for a head, and nothing of its tree.
    bench.server.behave(/^data\/..\/[0-9a-f]+C?$/, 'missing');
    const repository = await bench.open(undefined, { cacheLower: [lower] });
    t.equal(await readText(repository), 'one');
    t.equal(await readText(repository, '/n/below'), 'nested');

    bench.files.set('.cvmfspublished', second.manifest);
    await t.rejects(refresh(repository), { code: 'OBJECT_MISSING' }, 'not before it is there');
    t.equal(await readText(repository), 'one');
    // A tree that is missing is asked for again after a while.
    bench.setClock('2030-06-01T00:01:00Z');
    preload(lower, made.files);
    const moved = await refresh(repository);
    t.teardown(() => moved?.leave());
    t.equal(moved && (await readText(moved)), 'two');
  },
);
