import t from 'tap';
import { makeFakeTree, type FakeEntry } from '../testing/fakes/fake-tree.js';
import { seededRandom } from '../testing/trees.js';
import type { Outcome, Want } from '../store/want.js';
import { openReadAhead } from './read-ahead.js';

const kib = 1024;

function value<T>(outcome: Outcome<T>): T {
  if (outcome.kind !== 'done') throw new Error('not done');
  return outcome.value;
}

type Sizes = Readonly<Record<string, readonly number[]>>;

const before = ['z0', 'z1', 'z2', 'z3'];

/**
 * Directories of files of these sizes, none of which is here, and a client that reads them; what is asked for comes at
 * once. He has read some of elsewhere.
 */
function reader(sizes: Sizes) {
  const alone = Object.fromEntries(before.map((name) => [name, [1]]));
  const children = Object.fromEntries(
    Object.entries({ ...sizes, ...alone }).map(([directory, each]) => {
      const files = each.map((size, index): [string, FakeEntry] => [
        `f${index}`,
        { bytes: Buffer.alloc(size, `${directory} ${index} `) },
      ]);
      return [directory, { children: Object.fromEntries(files) }];
    }),
  );
  const { tree: fake, shelf } = makeFakeTree({ children });
  const looked = { calls: 0, entries: 0 };
  const tree = {
    ...fake,
    following: () => undefined,
    list: (...args: Parameters<typeof fake.list>) => {
      const page = fake.list(...args);
      looked.calls++;
      if (page.kind === 'done') looked.entries += page.value.entries.length;
      return page;
    },
  };
  const here = new Set<string>();
  const lookedFor: string[] = [];
  const isRecorded = ({ path }: Want): boolean => {
    lookedFor.push(path);
    return here.has(path);
  };
  const ahead = openReadAhead(tree, { ...shelf, isRecorded });
  for (const name of before) {
    here.add(`/${name}/f0`);
    ahead.read(value(tree.resolve(`/${name}/f0`)).node);
  }
  const at = { misses: 0, readBytes: 0, sent: new Map<string, number>() };
  const take = (bytesMax: number): string[] => {
    const wants = ahead.take(bytesMax, []);
    for (const { path, size } of wants) {
      here.add(path);
      at.sent.set(path, size.bytes);
    }
    return wants.map(({ path }) => path);
  };
  return {
    ...at,
    at,
    here,
    looked,
    lookedFor,
    counts: ahead.counts,
    take: (bytesMax = 16 * 1024 * kib) => take(bytesMax),
    list: (directory: string) => ahead.listed(value(tree.resolve(directory)).node),
    read: (path: string, bytesMax = 16 * 1024 * kib): string[] => {
      const { node, size } = value(tree.resolve(path));
      if (!here.has(path)) at.misses++;
      here.add(path);
      at.sent.delete(path);
      at.readBytes += size;
      ahead.read(node);
      return take(bytesMax);
    },
    /** Bytes that were sent and not read. */
    unread: () => [...at.sent.values()].reduce((sum, bytes) => sum + bytes, 0),
  };
}

/** Many small files, few large ones. */
function skewed(count: number, random: () => number): number[] {
  return Array.from({ length: count }, () => 1 + Math.round(-Math.log(1 - random()) * 8 * kib));
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const keyed = values.map((one) => ({ one, key: random() }));
  return keyed.sort((a, b) => a.key - b.key).map(({ one }) => one);
}

function directories(count: number, files: number, random: () => number): Sizes {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`d${index}`, skewed(files, random)]),
  );
}

function paths(sizes: Sizes): string[] {
  return Object.entries(sizes).flatMap(([name, each]) =>
    each.map((_, index) => `/${name}/f${index}`),
  );
}

void t.test('the siblings of a file that was read come, smallest first, but no large ones', (t) => {
  const { read, counts } = reader({ a: [5000, 900, 40_000, 300, 2000, 0, 90_000] });
  t.same(read('/a/f0'), ['/a/f3', '/a/f1', '/a/f4']);
  t.match(counts, { asked: 3, askedBytes: 3200, used: 0 });
  read('/a/f1');
  t.match(counts, { asked: 3, used: 1, usedBytes: 900 });
  t.end();
});

void t.test('who reads few files gets nothing else', (t) => {
  const { tree, shelf } = makeFakeTree({
    children: {
      a: { children: { f: { bytes: Buffer.alloc(9000) }, g: { bytes: Buffer.alloc(10) } } },
    },
  });
  const ahead = openReadAhead(
    { ...tree, following: () => undefined },
    { ...shelf, isRecorded: () => false },
  );
  const asked = Array.from({ length: 4 }, () => {
    ahead.read(value(tree.resolve('/a/f')).node);
    return ahead.take(kib * kib, []).length;
  });
  t.same(asked, [0, 0, 0, 1]);
  t.end();
});

void t.test('who listed the directory and reads most of it gets the large ones, too', (t) => {
  const { read, list } = reader({ a: [50_000, 51_000, 52_000, 53_000, 54_000, 55_000] });
  list('/a');
  const asked = [4, 1, 5, 0].map((index) => read(`/a/f${index}`));
  t.same(asked, [[], [], [], ['/a/f2', '/a/f3']]);
  t.end();
});

void t.test(
  '500 of 700 files in no order: most small ones come before, a tenth is wasted at most',
  (t) => {
    const wastes = [1, 2, 3, 4, 5, 6].map((seed) => {
      const random = seededRandom(seed);
      const sizes = directories(40, 17, random);
      const client = reader(sizes);
      for (const path of shuffled(paths(sizes), random).slice(0, 500)) client.read(path);
      t.ok(client.at.misses < 300, `${client.at.misses} had to be waited for`);
      return client.unread() / client.at.readBytes;
    });
    const mean = wastes.reduce((sum, one) => sum + one, 0) / wastes.length;
    t.ok(mean < 0.1 && Math.max(...wastes) < 0.12, wastes.map((it) => it.toFixed(3)).join(' '));
    t.end();
  },
);

void t.test(
  'one file of each of a thousand directories: the waste is bounded all the time',
  (t) => {
    const random = seededRandom(7);
    const sizes = directories(1000, 8, random);
    const client = reader(sizes);
    for (const name of shuffled(Object.keys(sizes), random)) {
      client.read(`/${name}/f${Math.floor(random() * 8)}`);
      const most = Math.max(256 * kib, 0.08 * client.at.readBytes);
      if (client.unread() > most) t.fail(`${client.unread()} of ${client.at.readBytes}`);
    }
    t.ok(client.counts.asked > 100, `${client.counts.asked} asked for`);
    t.end();
  },
);

void t.test('half of the files of many directories: hardly more than a tenth is wasted', (t) => {
  const random = seededRandom(10);
  const sizes = directories(100, 13, random);
  const client = reader(sizes);
  for (const path of shuffled(paths(sizes), random).slice(0, 650)) client.read(path);
  const waste = client.unread() / client.at.readBytes;
  t.ok(waste < 0.12, waste.toFixed(3));
  t.ok(client.counts.used > 120, `${client.counts.used} were used`);
  t.end();
});

void t.test('few of a huge directory: few are looked at, at once and in all', (t) => {
  const random = seededRandom(8);
  const client = reader({ a: skewed(5000, random) });
  for (let reads = 0; reads < 300; reads++) {
    const earlier = client.looked.entries;
    client.read(`/a/f${Math.floor(random() * 5000)}`);
    const now = client.looked.entries - earlier;
    if (now > 80) t.fail(`${now} entries in one call`);
  }
  t.ok(client.looked.entries <= 1100, `${client.looked.entries} entries`);
  const most = Math.max(512 * kib, 0.1 * client.at.readBytes);
  t.ok(client.unread() <= most, `${client.unread()} of ${client.at.readBytes}`);
  t.end();
});

void t.test('where all is here, fewer and fewer directories are looked at', (t) => {
  const random = seededRandom(9);
  const sizes = directories(300, 16, random);
  const { read, here, lookedFor, looked } = reader(sizes);
  for (const path of paths(sizes)) here.add(path);
  for (const name of Object.keys(sizes)) t.same(read(`/${name}/f3`), []);
  t.ok(looked.entries < 1600, `${looked.entries} entries of ${300 * 16}`);
  t.ok(lookedFor.length < 1000, `${lookedFor.length} looked for`);
  t.end();
});

void t.test('no more waits than is allowed, and with 0 nothing is asked for', (t) => {
  const sizes = { a: [9000, ...Array.from({ length: 30 }, () => 4000), 90_000] };
  const off = reader(sizes);
  t.same(off.read('/a/f0', 0), []);
  t.equal(off.looked.calls, 0, 'nor looked at');
  const little = reader(sizes);
  t.equal(little.read('/a/f0', 20_000).length, 5);
  t.equal(little.counts.asked, 5);
  t.end();
});

void t.test('what the reader came to himself meanwhile is not asked for', (t) => {
  const { read, here } = reader({ a: [9000, 100, 200, 300, 90_000] });
  here.add('/a/f2');
  t.same(read('/a/f0'), ['/a/f1', '/a/f3']);
  t.end();
});

void t.test('what is not read for long makes it ask for less elsewhere', (t) => {
  const of = (count: number, size: number): number[] => Array.from({ length: count }, () => size);
  const askedOfC = (sizesOfA: readonly number[]): number => {
    const sizes = {
      a: [9000, ...sizesOfA, ...of(10, 90_000)],
      b: [9000, ...of(320, 100), ...of(50, 90_000)],
      c: [9000, ...of(300, 4000), ...of(50, 90_000)],
    };
    const client = reader(sizes);
    const takeAll = (): number => Array.from({ length: 20 }, () => client.take()).flat().length;
    client.read('/a/f0');
    takeAll();
    t.equal(client.counts.asked, sizesOfA.length);
    client.read('/b/f0');
    takeAll();
    for (let index = 1; index <= 320; index++) client.read(`/b/f${index}`);
    t.ok(client.counts.used >= 300, `${client.counts.used} of b`);
    client.read('/c/f0');
    return takeAll();
  };
  const trusted = askedOfC([]);
  const doubted = askedOfC(of(20, 5000));
  t.ok(trusted > 120 && doubted < 50, `${trusted} and ${doubted}`);
  t.end();
});
