import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openBench, type Bench } from '../../testing/bench.js';
import { file, makeSmallRepository, nested } from '../../publish/write-repository.js';
import { openCatalogsAhead } from './catalogs-ahead.js';
import { copyOut } from './copy.js';
import { list, walk } from './path.js';
import { openPlaces } from './places.js';

const count = 12;
const tree = makeSmallRepository(
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`n${n}`, nested({ f: file(`content ${n}`) })]),
  ),
);
const content = /^data\/..\/[0-9a-f]+$/;
const catalogs = /^data\/.*C$/;

async function until(what: () => boolean): Promise<void> {
  for (let tries = 0; !what() && tries < 3000; tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

void t.test('a walk has several catalogs on their way before it comes to them', async (t) => {
  const bench = await openBench(t, tree);
  const repository = await bench.open();
  const root = await walk(repository, '', false);
  const before = bench.server.count(catalogs);
  const ahead = openCatalogsAhead(repository, root);
  for await (const entry of list(repository, root)) t.equal(entry.type, 'directory');
  ahead.entered(root);
  await until(() => bench.server.count(catalogs) - before === count);
  t.equal(bench.server.count(catalogs) - before, count);
  ahead.end();
});

async function copyWith(t: Test, bench: Bench): Promise<string> {
  const repository = await bench.open();
  const work = mkdtempSync(join(tmpdir(), 'pinfs-at-once-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const to = join(work, 'copy');
  const report = await copyOut(repository, await walk(repository, '', false), to);
  t.same(report.skipped, []);
  return to;
}

void t.test('a copy waits for several files at once, also of different directories', async (t) => {
  const bench = await openBench(t, tree);
  // None comes before all are asked for.
  const after = until(() => bench.server.count(content) === count);
  bench.server.behave(content, { after });
  const to = await copyWith(t, bench);
  t.equal(readFileSync(join(to, 'n7', 'f'), 'latin1'), 'content 7');
});

void t.test('the first work that fails ends what goes on at once', async (t) => {
  const places = openPlaces(2);
  const done: number[] = [];
  const work = async (number: number): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (number === 3) throw new Error('the third');
    done.push(number);
  };
  await t.rejects(
    async () => {
      for (let number = 1; number < 100; number++) await places.begin(() => work(number));
    },
    { message: 'the third' },
  );
  await t.rejects(places.end(), { message: 'the third' });
  t.equal(places.busy, 0);
  t.ok(done.length <= 5, `${done.length} were done`);
});
