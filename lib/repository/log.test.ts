import t from 'tap';
import type { Bench } from '../testing/bench.js';
import { openBench } from '../testing/bench.js';
import { file, makeRepository, nested, type RevisionSpec } from '../publish/write-repository.js';
import type { PinfsError } from '../format/errors.js';
import { revisionsOf, type LoggedRevision } from './log.js';

const trees = [
  { a: nested({ f: file('1') }), b: file('1') },
  { a: nested({ f: file('2') }), b: file('1') },
  { a: nested({ f: file('2') }), b: file('2') },
  { b: file('2') },
  { b: file('2') },
];
// Revisions 1 and 3 have tags, and the head has trunk.
const revisions: RevisionSpec[] = trees.map((tree, index) =>
  index === 0 || index === 2
    ? { tree, tags: { [`v${index + 1}`]: `number ${index + 1}` } }
    : { tree },
);
const made = makeRepository({ revisions });

interface Logged {
  readonly revisions: LoggedRevision[];
  readonly gaps: string[];
}

async function logged(
  bench: Bench,
  path?: string,
  pin?: string,
  keys = [bench.key],
): Promise<Logged> {
  const source = bench.server.url + (pin === undefined ? '' : `@${pin}`);
  const found: Logged = { revisions: [], gaps: [] };
  const how = {
    opened: () => undefined,
    gap: (behind: number, { code }: PinfsError) => found.gaps.push(`${behind} ${code}`),
    ...(path === undefined ? {} : { path }),
  };
  const options = { source, keys, cache: `${bench.work}/cache` };
  for await (const one of revisionsOf(options, how, bench.environment)) found.revisions.push(one);
  return found;
}

const numbers = ({ revisions }: Logged): number[] => revisions.map(({ revision }) => revision);

void t.test('tags, and between them what no tag names', async (t) => {
  const bench = await openBench(t, made);
  const log = await logged(bench);
  t.same(numbers(log), [5, 4, 3, 2, 1]);
  t.same(
    log.revisions.map(({ tags }) => tags.map(({ name }) => name)),
    [['trunk'], ['trunk-previous'], ['v3'], [], ['v1']],
  );
  t.match(log.revisions[2], {
    rootHash: made.revisions[2]?.rootHash.text,
    published: made.revisions[2]?.time,
    tags: [{ description: 'number 3' }],
    previous: 2,
  });
  t.equal(log.revisions.at(-1)?.previous, undefined);
  t.same(log.gaps, []);
});

void t.test('from a pin on, and with no key by root catalogs alone', async (t) => {
  const bench = await openBench(t, made);
  t.same(numbers(await logged(bench, undefined, 'v3')), [3, 2, 1]);
  const hash = made.revisions[3]?.rootHash.text;
  const bare = await logged(bench, undefined, hash, []);
  t.same(numbers(bare), [4, 3, 2, 1]);
  t.same(
    bare.revisions.flatMap(({ tags }) => tags),
    [],
  );
});

void t.test('what the publisher collected is a gap, behind which tags go on', async (t) => {
  const bench = await openBench(t, made);
  const [second, fourth] = [made.revisions[1], made.revisions[3]].map((one) => one?.rootHash.text);
  for (const hash of [second, fourth])
    bench.server.behave(new RegExp(`${hash?.slice(2)}C`), 'missing');
  const log = await logged(bench);
  t.same(numbers(log), [5, 4, 3, 1], 'the fourth one has a tag, trunk-previous');
  t.same(log.gaps, ['3 OBJECT_MISSING']);
});

void t.test('only what changed a path, as far as catalogs say', async (t) => {
  const bench = await openBench(t, made);
  t.same(numbers(await logged(bench, '/b')), [3, 1]);
  t.same(numbers(await logged(bench, '/a/f', 'v3')), [2, 1]);
  await t.rejects(logged(bench, '/a'), { code: 'NOT_FOUND' }, 'the head has it no more');
});
