import t from 'tap';
import type { ByteString } from '../format/bytes.js';
import { listAll, openMade, type OpenedTree } from '../testing/fakes/opened-tree.js';
import {
  directory,
  file,
  makeRepository,
  makeSmallRepository,
  type FileSpec,
} from '../publish/write-repository.js';
import type { Entry } from './entry.js';

const chunked = (content: string, chunk: number, more: Partial<FileSpec> = {}): FileSpec =>
  file(content, { chunks: [chunk], linkGroup: 1, mtime: 5, ...more });

function entryOf({ tree, shelf }: OpenedTree, path: ByteString): Entry {
  return shelf.must(() => tree.resolve(path));
}

function chunkHashes({ tree, shelf }: OpenedTree, { node }: Entry): string {
  return shelf
    .must(() => tree.chunks(node))
    .map(({ object }) => object.hash.text)
    .join();
}

void t.test('chunked files of one group are one file only if their chunks are the same', (t) => {
  const made = makeSmallRepository({
    x: chunked('AAAAAAAA', 4),
    y: chunked('BBBBBBBB', 4),
    z: chunked('AAAAAAAA', 4),
    w: chunked('AAAAAAAA', 2),
  });
  const opened = openMade(t, made);
  const [w, x, y, z] = ['/w', '/x', '/y', '/z'].map((path) => entryOf(opened, path));
  if (!w || !x || !y || !z) throw new Error('no entry');
  t.equal(x.node, z.node);
  t.equal(x.ino, z.ino);
  t.equal(x.nlink, 4, 'the link count is the stored one');
  t.equal(new Set([w.node, x.node, y.node]).size, 3);
  t.equal(new Set([w.ino, x.ino, y.ino]).size, 3);
  t.equal(chunkHashes(opened, x), chunkHashes(opened, z));
  t.not(chunkHashes(opened, x), chunkHashes(opened, y));
  const other = openMade(t, made);
  for (const { node, ino } of [w, x, y, z])
    t.equal(other.shelf.must(() => other.tree.entry(node)).ino, ino, 'also found by its row');
  t.end();
});

void t.test('a group that can not be merges nothing', (t) => {
  for (const hardlinks of ['-5', "'4294967298 '", 'NULL', '3']) {
    const made = makeRepository({
      revisions: [
        {
          tree: { x: chunked('AAAAAAAA', 4), y: chunked('BBBBBBBB', 4), z: chunked('AAAAAAAA', 4) },
          sql: `UPDATE catalog SET hardlinks = ${hardlinks} WHERE name <> ''`,
        },
      ],
    });
    const opened = openMade(t, made);
    const nodes = ['/x', '/y', '/z'].map((path) => entryOf(opened, path).node);
    const separate = hardlinks.includes('4294967298') ? 2 : 3;
    t.equal(new Set(nodes).size, separate, hardlinks);
  }
  t.end();
});

void t.test('a hash of the whole is enough to tell files apart', (t) => {
  const opened = openMade(
    t,
    makeSmallRepository({
      x: chunked('AAAAAAAA', 4, { bulk: true }),
      y: chunked('BBBBBBBB', 4, { bulk: true }),
      z: chunked('AAAAAAAA', 4, { bulk: true }),
    }),
  );
  t.equal(entryOf(opened, '/x').node, entryOf(opened, '/z').node);
  t.not(entryOf(opened, '/x').node, entryOf(opened, '/y').node);
  t.end();
});

void t.test('in a directory that is too large to be kept they have the right inodes', (t) => {
  const many = Array.from({ length: 5000 }, (_, index) => [`n${index}`, file('')] as const);
  const links = { x: chunked('AAAAAAAA', 4), y: chunked('BBBBBBBB', 4), z: chunked('AAAAAAAA', 4) };
  const made = makeSmallRepository({ d: directory({ ...Object.fromEntries(many), ...links }) });
  const opened = openMade(t, made);
  const [x, y, z] = ['/d/x', '/d/y', '/d/z'].map((path) => entryOf(opened, path));
  t.equal(x?.ino, z?.ino);
  t.not(x?.ino, y?.ino);
  for (const { path, ino } of listAll(openMade(t, made), '/d').slice(-3))
    t.equal(ino, entryOf(opened, path).ino, path);
  t.end();
});

void t.test('chunk lists that are too long to be compared make no link', (t) => {
  const opened = openMade(
    t,
    makeSmallRepository({
      x: chunked('A'.repeat(1024), 1),
      y: chunked('A'.repeat(1024), 1),
      long: chunked('A'.repeat(1025), 1, { linkGroup: 2 }),
      longer: chunked('A'.repeat(1025), 1, { linkGroup: 2 }),
    }),
  );
  t.equal(entryOf(opened, '/x').node, entryOf(opened, '/y').node);
  t.not(entryOf(opened, '/long').node, entryOf(opened, '/longer').node);
  t.not(entryOf(opened, '/long').ino, entryOf(opened, '/longer').ino);
  t.end();
});
