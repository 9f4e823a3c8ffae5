import t from 'tap';
import { makeFakeTree, type FakeEntry } from '../testing/fakes/fake-tree.js';
import type { Outcome, Want } from '../store/want.js';
import { openReadAhead } from './read-ahead.js';

const fileBytes = 40 * 1024;
const bytesMax = 1024 * 1024;

function value<T>(outcome: Outcome<T>): T {
  if (outcome.kind !== 'done') throw new Error('not done');
  return outcome.value;
}

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `f${String(index).padStart(3, '0')}`);
}

/** Directories of 30 files each, none of which is here, and a client that reads them. */
function reader(count = 30, directories: readonly string[] = ['a', 'b']) {
  const directory = (of: string): FakeEntry => ({
    children: Object.fromEntries(
      names(count).map((name) => [name, { bytes: Buffer.alloc(fileBytes, `${of}${name} `) }]),
    ),
  });
  const { tree: fake, shelf } = makeFakeTree({
    children: Object.fromEntries(directories.map((name) => [name, directory(name)])),
  });
  const following = (node: number) => {
    const { entries } = value(fake.list(value(fake.parent(node)), 0, 1000));
    return entries[entries.findIndex((it) => it.node === node) + 1]?.node;
  };
  const tree = { ...fake, following };
  const here = new Set<string>();
  const lookedFor: string[] = [];
  const isRecorded = ({ path }: Want): boolean => {
    lookedFor.push(path);
    return here.has(path);
  };
  const ahead = openReadAhead(tree, { ...shelf, isRecorded });
  const node = (path: string) => value(tree.resolve(path)).node;
  return {
    counts: ahead.counts,
    here,
    lookedFor,
    list: (path: string) => ahead.listed(node(path)),
    /** Paths of what is asked for behind a read. */
    read: (path: string, most = bytesMax, next: string[] = []): string[] => {
      here.add(path);
      ahead.read(node(path));
      return ahead.take(most, next.map(node)).map(({ path }) => path);
    },
  };
}

void t.test('who reads in order gets what follows, ever more of it', (t) => {
  const { read, counts } = reader();
  t.same(read('/a/f000'), [], 'one file is no order');
  t.same(read('/a/f001'), [], 'nor is the second: it may be all');
  const first = read('/a/f002');
  t.same(first, ['/a/f003', '/a/f004', '/a/f005', '/a/f006'], 'little at first');
  const more = first.flatMap((path) => read(path));
  t.same(
    [...first, ...more],
    names(30)
      .slice(3, 3 + first.length + more.length)
      .map((it) => `/a/${it}`),
  );
  t.ok(more.length > first.length, `${more.length} more`);
  t.equal(counts.used, first.length);
  t.equal(counts.asked, first.length + more.length);
  t.end();
});

void t.test('who reads on is asked for in batches, not file by file', (t) => {
  const { read } = reader(200);
  const asked = names(150).map((name) => read(`/a/${name}`).length);
  const late = asked.slice(100);
  const total = late.reduce((sum, each) => sum + each, 0);
  const times = late.filter((each) => each > 0).length;
  t.ok(total >= 40 && times <= total / 3, `${total} files in ${times} times`);
  t.end();
});

void t.test('where all is here already, few are looked for, until one is not', (t) => {
  const { read, here, lookedFor } = reader(300);
  const all = names(300).map((name) => `/a/${name}`);
  for (const path of all.slice(0, 200)) here.add(path);
  const asked = all.slice(0, 150).flatMap((path) => read(path));
  t.ok(lookedFor.length < 120, `${lookedFor.length} of ${all.length}`);
  t.ok(asked.length >= 4, `${asked.length} behind them`);
  const [first = ''] = asked;
  t.ok(all.indexOf(first) < 208, first);
  t.same(asked, all.slice(all.indexOf(first), all.indexOf(first) + asked.length), 'each of them');
  t.end();
});

void t.test('what waits to be read is bounded, and nothing is asked for with 0', (t) => {
  const { read } = reader();
  for (const name of names(3)) t.same(read(`/a/${name}`, 0), []);
  const asked = read('/a/f003', fileBytes);
  t.same(asked, ['/a/f004']);
  t.end();
});

void t.test('who jumps about gets nothing', (t) => {
  const { read, counts } = reader();
  for (const index of [5, 20, 3, 11, 28, 1, 15]) {
    const name = names(30)[index] ?? '';
    t.same(read(`/a/${name}`), []);
    t.same(read(`/b/${name}`), []);
  }
  t.equal(counts.asked, 0);
  t.end();
});

void t.test('behind jumps some that follow each other are no order yet', (t) => {
  const { read } = reader();
  const asked = ['f020', 'f003', 'f011', 'f012', 'f013', 'f014'].flatMap((name) =>
    read(`/a/${name}`),
  );
  t.same(asked, []);
  t.same(read('/a/f015').slice(0, 2), ['/a/f016', '/a/f017'], 'but more of them are');
  t.end();
});

void t.test('who reads siblings of a directory that he listed gets all of them, in time', (t) => {
  const { read, list } = reader(8);
  list('/a');
  const asked = ['f007', 'f003', 'f005', 'f001', 'f006', 'f000'].flatMap((name) =>
    read(`/a/${name}`),
  );
  t.ok(asked.includes('/a/f002') && asked.includes('/a/f004'), asked.join(' '));
  t.end();
});

void t.test('who goes from directory to directory gets the next one', (t) => {
  const { read, list } = reader(6);
  list('/a');
  const asked = names(6).flatMap((name) => read(`/a/${name}`, bytesMax, ['/b']));
  t.ok(
    asked.some((path) => path.startsWith('/b/')),
    asked.join(' '),
  );
  t.equal(new Set(asked).size, asked.length, 'nothing twice');
  t.end();
});

void t.test('who listed nothing gets no other directory', (t) => {
  const { read } = reader(6);
  const asked = names(6).flatMap((name) => read(`/a/${name}`, bytesMax, ['/b']));
  t.same(
    asked,
    names(6)
      .slice(3)
      .map((name) => `/a/${name}`),
  );
  t.end();
});

void t.test('what lies between two files and is not read is passed over', (t) => {
  const file: FakeEntry = { bytes: Buffer.alloc(fileBytes, 'x') };
  const { tree: fake, shelf } = makeFakeTree({
    children: {
      a: file,
      b: { children: { below: file } },
      c: { bytes: Buffer.alloc(0) },
      d: file,
      e: file,
      f: file,
    },
  });
  const { entries } = value(fake.list(fake.root, 0, 100));
  const following = (node: number) =>
    entries[entries.findIndex((it) => it.node === node) + 1]?.node;
  const ahead = openReadAhead({ ...fake, following }, { ...shelf, isRecorded: () => false });
  const read = (path: string) => {
    ahead.read(value(fake.resolve(path)).node);
    return ahead.take(bytesMax, []).map((want) => want.path);
  };
  t.same(read('/a'), []);
  t.same(read('/d'), []);
  t.equal(read('/e')[0], '/f');
  t.end();
});

void t.test('several readers, each in a directory of its own, get what each reads next', (t) => {
  const { read, counts } = reader();
  const asked = names(6).flatMap((name) => [...read(`/a/${name}`), ...read(`/b/${name}`)]);
  for (const of of ['/a/', '/b/']) {
    const own = asked.filter((path) => path.startsWith(of));
    t.ok(own.length >= 4, `${own.length} of ${of}`);
    t.same(
      own,
      names(30)
        .slice(3, 3 + own.length)
        .map((name) => of + name),
    );
  }
  t.ok(counts.used >= 4, `${counts.used} were read`);
  t.end();
});

void t.test('who goes through directories in order gets the next one with its first file', (t) => {
  const directories = names(24);
  const { read } = reader(6, directories);
  const through = directories
    .slice(0, 8)
    .map((name) => names(6).map((file) => read(`/${name}/${file}`)));
  t.same(through[0]?.[0], [], 'the first one says nothing');
  const [behind = []] = through[7] ?? [];
  t.ok(behind.includes('/f007/f001'), behind.join(' '));
  // From here on as one who wants a single file of each.
  const asked = directories.slice(8).map((name) => read(`/${name}/f000`));
  t.ok(asked.filter((each) => each.length > 0).length <= 6, 'given up soon');
  t.same(asked.slice(-4).flat(), []);
  t.end();
});

void t.test('what was asked for in vain makes it ask for less', (t) => {
  const { read, counts } = reader();
  for (const name of names(12)) read(`/a/${name}`);
  const before = counts.asked;
  // From here on as one who jumps about.
  const order = names(30).map((_, index) => (index * 7) % 30);
  const asked = order.flatMap((index) => read(`/b/${names(30)[index] ?? ''}`));
  t.ok(
    counts.asked - before <= 8,
    `${counts.asked - before} more were asked for: ${asked.join(' ')}`,
  );
  t.end();
});

void t.test('who reads on in a large file gets the chunks that follow, once', (t) => {
  const chunkBytes = 1024 * 1024;
  const { tree, shelf } = makeFakeTree({
    children: {
      large: { bytes: Buffer.alloc(40 * chunkBytes), chunkSize: chunkBytes },
    },
  });
  const here = new Set<string>();
  const isRecorded = ({ object }: Want): boolean => here.has(object.hash.text);
  const ahead = openReadAhead({ ...tree, following: () => undefined }, { ...shelf, isRecorded });
  const { node } = value(tree.resolve('/large'));
  const readOn = (chunk: number, most = bytesMax): number => {
    ahead.readOn(node, chunk * chunkBytes, (chunk + 1) * chunkBytes);
    return ahead.take(most, []).length;
  };
  t.same(
    [1, 2].map((chunk) => readOn(chunk)),
    [0, 0],
    'two reads are no order',
  );
  t.equal(readOn(3, 0), 0, 'off');
  t.equal(readOn(4), 4);
  t.equal(ahead.take(bytesMax, []).length, 4, 'more, as long as it lies in the next 16 MiB');
  for (let turn = 0; turn < 4; turn++) ahead.take(bytesMax, []);
  t.equal(ahead.counts.askedBytes, 16 * chunkBytes);
  t.equal(readOn(5), 1, 'then one for each that is read');
  t.equal(ahead.counts.used, 1);
  t.equal(readOn(30), 0, 'elsewhere: it begins anew');
  t.end();
});
