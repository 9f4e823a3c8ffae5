import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { makeObjectWriter } from '../objects/writer.js';
import type { ContentOptions, ObjectStorage, ObjectWriter } from '../objects/content.js';
import type { InputOptions } from './directory.js';
import type { InputEntry } from './entry.js';
import { readInput } from './read.js';
import { openInputState } from './state.js';

const settings: ContentOptions = { algorithm: 'sha1', compression: 'zlib' };

function memory(): ObjectStorage & { readonly paths: Set<string> } {
  const paths = new Set<string>();
  return {
    paths,
    has: (path) => Promise.resolve(paths.has(path)),
    write(path) {
      paths.add(path);
      return Promise.resolve('written');
    },
  };
}

function writerOf(t: Test, storage: ObjectStorage = memory()): ObjectWriter {
  const writer = makeObjectWriter(storage, { ...settings, threads: 1 });
  t.teardown(() => writer.close());
  return writer;
}

async function entriesOf(from: string, options: InputOptions): Promise<InputEntry[]> {
  const entries: InputEntry[] = [];
  for await (const entry of readInput(from, options)) entries.push(entry);
  return entries;
}

/** A tree with something of each kind that needs no root. */
function makeSource(t: Test): string {
  const tree = join(t.testdir({ tree: {} }), 'tree');
  mkdirSync(join(tree, 'a'));
  writeFileSync(join(tree, 'a', 'x'), 'one');
  writeFileSync(join(tree, 'a.b'), 'two');
  linkSync(join(tree, 'a.b'), join(tree, 'hard'));
  symlinkSync('a/x', join(tree, 'link'));
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x0a])]), '');
  chmodSync(join(tree, 'a', 'x'), 0o4711);
  spawnSync('mkfifo', [join(tree, 'fifo')]);
  // Node takes times before 1970 for the present.
  spawnSync('touch', ['-d', '@-1.5', join(tree, 'a', 'x')]);
  return tree;
}

t.test('a directory is read in one order, with all that its entries are', async (t) => {
  const writer = writerOf(t);
  const entries = await entriesOf(makeSource(t), { writer });
  t.same(
    entries.map(({ path, type }) => `${path} ${type}`),
    [
      ' directory',
      '/a directory',
      '/a/x file',
      '/a.b file',
      '/fifo fifo',
      '/hard file',
      '/link symlink',
      '/\xff\n file',
    ],
  );
  const [, , x, ab, , hard, link] = entries;
  t.match(x, { mode: 0o4711, size: 3, mtime: -2, mtimeNs: 500_000_000 });
  t.match(link, { target: 'a/x', size: 3 });
  t.equal(ab?.linkKey, hard?.linkKey);
  t.type(ab?.linkKey, 'string');
  t.equal(x?.linkKey, undefined);
  t.same(ab?.stored, hard?.stored);
  t.equal(ab?.stored?.size, 3);
});

t.test('an archive gives what its directory gives, however it is packed', async (t) => {
  const tree = makeSource(t);
  const writer = writerOf(t);
  const strip = ({
    path,
    type,
    mode,
    uid,
    gid,
    mtime,
    mtimeNs,
    size,
    target,
    stored,
    linkKey,
  }: InputEntry) => ({
    ...{ path, type, mode, uid, gid, mtime, mtimeNs, target, stored },
    size: type === 'directory' ? 0 : size,
    isLinked: linkKey !== undefined,
  });
  const expected = (await entriesOf(tree, { writer })).map(strip);
  const archive = join(tree, '..', 'tree.tar');
  for (const [suffix, how] of [
    ['', []],
    ['.gz', ['-z']],
    ['.xz', ['-J']],
  ] as const) {
    const file = archive + suffix;
    const made = spawnSync('tar', ['--format=pax', ...how, '-C', tree, '-cf', file, '.']);
    t.equal(made.status, 0, made.stderr.toString());
    t.same((await entriesOf(file, { writer })).map(strip), expected, suffix);
  }
  spawnSync('tar', ['--format=gnu', '-C', tree, '-cf', archive, '.']);
  const whole = (entry: ReturnType<typeof strip>) => ({
    ...entry,
    // This format has whole seconds.
    mtimeNs: 0,
  });
  t.same((await entriesOf(archive, { writer })).map(strip), expected.map(whole), 'gnu');
});

t.test('a large member is stored in chunks or as a whole, as a file would be', async (t) => {
  const directory = t.testdir({ tree: { small: 'x' } });
  const big = Buffer.alloc(1_500_000, 'something that comes again ');
  writeFileSync(join(directory, 'tree', 'big'), big);
  const writer = writerOf(t);
  const file = join(directory, 'tree.tar');
  spawnSync('tar', ['-C', join(directory, 'tree'), '-cf', file, '.']);
  const contents = async (from: string) =>
    (await entriesOf(from, { writer })).map(({ stored }) => stored);
  t.same(await contents(file), await contents(join(directory, 'tree')));
});

t.test('names longer than a header has room for', async (t) => {
  const directory = t.testdir({ tree: {} });
  const deep = Array.from({ length: 6 }, (_, n) => String(n).repeat(200)).join('/');
  mkdirSync(join(directory, 'tree', deep), { recursive: true });
  symlinkSync('t'.repeat(300), join(directory, 'tree', 'link'));
  const writer = writerOf(t);
  for (const format of ['gnu', 'pax']) {
    const file = join(directory, `${format}.tar`);
    spawnSync('tar', [`--format=${format}`, '-C', join(directory, 'tree'), '-cf', file, '.']);
    const entries = await entriesOf(file, { writer });
    t.ok(
      entries.some(({ path }) => path === `/${deep}`),
      format,
    );
    t.ok(entries.some(({ target }) => target === 't'.repeat(300)));
  }
});

/** A header block of a hostile archive, its checksum right. */
function header(name: string, flag: string, size = 0, link = ''): Buffer {
  const block = Buffer.alloc(512);
  block.write(name, 0, 'latin1');
  block.write('0000644\0', 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write('00000000000\0', 136);
  block.write('        ', 148);
  block.write(flag, 156);
  block.write(link, 157, 'latin1');
  block.write('ustar\0' + '00', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}

const end = Buffer.alloc(1024);

function padded(text: string): Buffer {
  return Buffer.concat([
    Buffer.from(text, 'latin1'),
    Buffer.alloc((512 - (text.length % 512)) % 512),
  ]);
}

t.test('hostile and broken archives end with their code', async (t) => {
  const directory = t.testdir();
  const wrong = header('file', '0');
  wrong[0] = 0x41;
  const pax = (text: string) => Buffer.concat([header('x', 'x', text.length), padded(text)]);
  const archives: Readonly<Record<string, Buffer>> = {
    empty: Buffer.alloc(0),
    'no archive': Buffer.alloc(5000, 'text'),
    'no end': header('file', '0'),
    'cut in a header': Buffer.concat([header('file', '0'), Buffer.alloc(100)]),
    'cut in a member': Buffer.concat([header('file', '0', 5000), Buffer.alloc(1000)]),
    'wrong checksum': Buffer.concat([wrong, end]),
    'a way out': Buffer.concat([header('a/../../b', '0'), end]),
    'too long a name': Buffer.concat([pax(`266 path=${'n'.repeat(256)}\n`), header('f', '0'), end]),
    'below a file': Buffer.concat([header('f', '0'), header('f/g', '0'), end]),
    'below a link': Buffer.concat([header('f', '2', 0, '/etc'), header('f/g', '0'), end]),
    'link to nothing': Buffer.concat([header('f', '1', 0, 'none'), end]),
    'link with no target': Buffer.concat([header('f', '2'), end]),
    'file with no name': Buffer.concat([header('.', '0'), end]),
    'unknown type': Buffer.concat([header('f', 'S'), end]),
    sparse: Buffer.concat([pax('22 GNU.sparse.major=1\n'), header('f', '0'), end]),
    'no record': Buffer.concat([pax('99 path=x\n'), header('f', '0'), end]),
    'no time': Buffer.concat([pax('11 mtime=x\n'), header('f', '0'), end]),
    'large extended header': Buffer.concat([header('x', 'x', 2 ** 21), Buffer.alloc(2 ** 21), end]),
    'broken gzip': gzipSync(Buffer.alloc(10_000, 'x')).subarray(0, 20),
    'broken xz': Buffer.from('fd377a585a0000000000', 'hex'),
  };
  const writer = writerOf(t);
  for (const [name, bytes] of Object.entries(archives)) {
    const file = join(directory, 'archive');
    writeFileSync(file, bytes);
    await t.rejects(entriesOf(file, { writer }), { code: 'ARCHIVE_MALFORMED' }, name);
  }
  await t.rejects(entriesOf(join(directory, 'none'), { writer }), { code: 'INPUT_UNREADABLE' });
});

t.test('the later member of a name counts, and directories need none of their own', async (t) => {
  const file = join(t.testdir(), 'archive');
  const content = (text: string) => [header('d/f', '0', text.length), padded(text)];
  writeFileSync(file, Buffer.concat([...content('first'), ...content('second'), end]));
  const entries = await entriesOf(file, { writer: writerOf(t) });
  t.same(
    entries.map(({ path }) => path),
    ['', '/d', '/d/f'],
  );
  t.match(entries[1], { type: 'directory', mode: 0o755 });
  t.equal(entries[2]?.stored?.size, 6);
});

/** A tree that is old enough to be believed, and a state that knows it as of revision `r1`. */
async function seen(t: Test) {
  const directory = t.testdir({ tree: { a: { x: 'one' }, b: 'two', c: 'three' } });
  const tree = join(directory, 'tree');
  const file = join(directory, 'state');
  const storage = memory();
  const writer = writerOf(t, storage);
  const later = (): number => Date.now() + 10_000;
  const open = (more: Partial<ContentOptions> = {}, isBlind = false) =>
    openInputState(file, { ...settings, ...more }, tree, { isBlind, now: later });
  const state = open();
  const entries = await entriesOf(tree, { writer, state });
  state.commit('r1');
  t.equal(entries.filter(({ isKnown }) => isKnown === true).length, 0);
  return { tree, file, storage, writer, open, entries };
}

t.test('what is as it was is not read again', async (t) => {
  const { tree, writer, open, entries } = await seen(t);
  const known = async (state: ReturnType<typeof open>, revision = 'r1') =>
    (await entriesOf(tree, { writer, state, revision }))
      .filter(({ isKnown }) => isKnown === true)
      .map(({ path }) => path);
  const again = await entriesOf(tree, { writer, state: open(), revision: 'r1' });
  t.same(
    again.map(({ stored }) => stored),
    entries.map(({ stored }) => stored),
  );
  t.same(await known(open()), ['/a/x', '/b', '/c']);
  t.same(await known(open({}, true)), [], 'unless all shall be read');
  t.same(await known(open({ algorithm: 'rmd160' })), [], 'and of other settings nothing is known');
  appendFileSync(join(tree, 'b'), '!');
  t.same(await known(open()), ['/a/x', '/c']);
});

t.test('a directory that began a catalog comes as one entry while it is as it was', async (t) => {
  const { tree, writer, open } = await seen(t);
  const kept = open();
  await entriesOf(tree, { writer, state: kept, revision: 'r1' });
  kept.commit('r1', { catalogs: ['/a'], rules: 'some' });
  const unchanged = async (revision = 'r1', skipsCatalogs = true) => {
    const state = open();
    t.equal(state.rules, 'some');
    const entries = await entriesOf(tree, { writer, state, revision, skipsCatalogs });
    state.commit('r1', { catalogs: [], rules: 'some' });
    return entries
      .filter((entry) => entry.unchanged !== undefined)
      .map((entry) => [entry.path, entry.unchanged?.entries]);
  };
  t.same(await unchanged(), [['/a', 2]]);
  t.same(await unchanged(), [['/a', 2]], 'it is kept for the next time');
  appendFileSync(join(tree, 'b'), '!');
  t.same(await unchanged(), [['/a', 2]], 'whatever changes elsewhere');
  appendFileSync(join(tree, 'a/x'), '!');
  t.same(await unchanged(), []);
  t.same(await unchanged(), [], 'then it is for who publishes to say that it begins one');
});

t.test('of another revision what is in the storage is known, and no more', async (t) => {
  const { tree, writer, open, storage } = await seen(t);
  storage.paths.delete([...storage.paths][0] ?? '');
  const entries = await entriesOf(tree, { writer, state: open(), revision: 'r2' });
  t.equal(entries.filter(({ isKnown }) => isKnown === true).length, 2);
  t.equal(storage.paths.size, 3, 'it was stored again');
});

t.test('a young file is not believed, and a damaged state is none', async (t) => {
  const { tree, file, writer, open } = await seen(t);
  const young = openInputState(file, settings, tree);
  await entriesOf(tree, { writer, state: young, revision: 'r1' });
  young.commit('r1');
  t.equal(readFileSync(file, 'utf8').split('\0').length, 2, 'head and end');
  young.drop();
  for (const bytes of ['', 'nonsense', '{}\n["r1"]\n', '\0'.repeat(5000)]) {
    writeFileSync(file, bytes);
    t.equal(open().revision, undefined);
  }
});

t.test('what can not be read ends it, or is told and left out', async (t) => {
  const directory = t.testdir({ bad: 'x', good: 'y' });
  const error = { code: 'INPUT_UNREADABLE' };
  const { writer } = { writer: writerOf(t) };
  const refusing: ObjectWriter = {
    ...writer,
    store: (input) =>
      'file' in input && input.file.endsWith('bad')
        ? writer.store({ file: join(directory, 'none') })
        : writer.store(input),
  };
  await t.rejects(entriesOf(directory, { writer: refusing }), error);
  const entries = await entriesOf(directory, { writer: refusing, keepGoing: true });
  t.match(entries[1], { path: '/bad', problem: error });
  t.equal(entries[1]?.stored, undefined);
  t.equal(entries[2]?.problem, undefined);
});

t.test('a file that is written to is read again, and given up in the end', async (t) => {
  const directory = t.testdir({ busy: 'x' });
  const writer = writerOf(t);
  let left = 2;
  const busy: ObjectWriter = {
    ...writer,
    store(input) {
      if (left-- > 0) appendFileSync(join(directory, 'busy'), '!');
      return writer.store(input);
    },
  };
  const [, entry] = await entriesOf(directory, { writer: busy });
  t.match(entry, { size: 3, stored: { size: 3 } }, 'its attributes are those of what was read');
  left = 100;
  await t.rejects(entriesOf(directory, { writer: busy }), { code: 'INPUT_CHANGED' });
});

t.test('extended attributes come along where they are asked for', async (t) => {
  const directory = t.testdir({ file: 'x' });
  const file = join(directory, 'file');
  if (spawnSync('setfattr', ['-n', 'user.note', '-v', 'a b', file]).status !== 0) {
    t.pass('this file system has none');
    return;
  }
  const writer = writerOf(t);
  const [, entry] = await entriesOf(directory, { writer, xattrs: true });
  t.equal(entry?.xattrs?.get('user.note')?.toString(), 'a b');
  t.equal((await entriesOf(directory, { writer }))[1]?.xattrs, undefined);
  spawnSync('setfattr', ['-n', 'user.note', '-v', 'v'.repeat(256), file]);
  const [, long] = await entriesOf(directory, { writer, xattrs: true });
  t.same(long?.leftOut, ['user.note']);
  t.equal(long?.xattrs, undefined);
});
