import t from 'tap';
import { openMade, type OpenedTree } from '../testing/fakes/opened-tree.js';
import { directory, file, makeRepository, type EntrySpec } from '../publish/write-repository.js';

// Rows that weigh more than anything that is sound. A stranger can make one text stand in many
// of them, at the price of one.

const megabyte = "replace(hex(zeroblob(500000)),'00','aa')";

function open(t: Parameters<typeof openMade>[0], count: number, sql: string): OpenedTree {
  const many: Record<string, EntrySpec> = {};
  for (let index = 0; index < count; index++) many[`f${index}`] = file(`${index}`);
  const chunked = file('AAAAAAAA', { chunks: [4] });
  const tree = { a: file('one'), c: chunked, d: directory(many) };
  return openMade(t, makeRepository({ revisions: [{ tree, sql }] }));
}

function memory(): number {
  return process.memoryUsage().rss;
}

void t.test('text where a number belongs is left where it is', (t) => {
  for (const column of ['uid', 'mtimens']) {
    const sql = `UPDATE catalog SET ${column} = ${megabyte} WHERE name LIKE 'f%'`;
    const { tree, shelf } = open(t, 100, sql);
    t.equal(shelf.must(() => tree.resolve('/a')).type, 'file');
    const { node } = shelf.must(() => tree.resolve('/d'));
    const before = memory();
    const { entries } = shelf.must(() => tree.list(node, 0, 1000));
    t.equal(entries.length, 0, `${column}: rows of such a weight are refused`);
    t.ok(memory() - before < 64 * 2 ** 20, 'and take no memory');
    const info = shelf.must(() => tree.catalogOf(tree.root));
    for (let after: number | undefined = 0; after !== undefined;) {
      const from: number = after;
      after = shelf.must(() => tree.objects(info, from, 512)).next;
    }
    t.ok(memory() - before < 64 * 2 ** 20);
  }
  t.end();
});

void t.test('a short text there is a fault of its row alone', (t) => {
  const { tree, shelf } = open(t, 3, "UPDATE catalog SET uid = 'nobody' WHERE name = 'f1'");
  const broken = shelf.must(() => tree.resolve('/d/f1')).broken;
  t.match(broken, { code: 'CATALOG_SCHEMA', message: /its owner/ });
  t.equal(shelf.must(() => tree.resolve('/d/f2')).broken, undefined);
  const { node } = shelf.must(() => tree.resolve('/d'));
  t.equal(shelf.must(() => tree.list(node, 0, 10)).entries.length, 3);
  t.end();
});

void t.test('text in a chunk list is a fault of its file', (t) => {
  for (const column of ['size', 'offset', 'hash']) {
    const { tree, shelf } = open(
      t,
      0,
      `UPDATE chunks SET ${column} = ${megabyte} WHERE offset = 4`,
    );
    const { node } = shelf.must(() => tree.resolve('/c'));
    const outcome = shelf.run(() => tree.chunks(node));
    t.match(outcome, { kind: 'failure', errno: 5, error: { code: 'CATALOG_SCHEMA' } }, column);
  }
  t.end();
});

void t.test('a page of rows that are heavy, yet sound, is cut into small ones', (t) => {
  const sql = `UPDATE catalog SET symlink = substr(${megabyte},1,16384) WHERE name LIKE 'f%'`;
  const opened = open(t, 100, sql);
  const { tree, shelf } = opened;
  const { node } = shelf.must(() => tree.resolve('/d'));
  const names = new Set<string>();
  for (let after = 0, end = false; !end;) {
    const page = shelf.must(() => tree.list(node, after, 1000));
    for (const { name, broken } of page.entries) if (broken === undefined) names.add(name);
    after = page.cookies.at(-1) ?? after;
    end = page.end;
  }
  t.equal(names.size, 100);
  t.end();
});
