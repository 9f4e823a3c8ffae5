import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { keptTree } from './kept.js';
import type { TreeName } from './made-trees.js';

const work = mkdtempSync(join(tmpdir(), 'pinfs-kept-'));
t.teardown(() => {
  rmSync(work, { recursive: true });
});
const place = { trees: join(work, 'trees'), work: join(work, 'work'), small: true };
const kept = (name: TreeName) => keptTree(name, place);

t.test('the tree has the totals of the table, at a twentieth', (t) => {
  const tree = kept('tree');
  t.equal(tree.directories, 76);
  t.equal(tree.catalogs, 5);
  t.equal(tree.files.length, 970 + 4, 'each nested catalog has its mark');
  const sum = tree.files.reduce((all, { size }) => all + size, 0);
  t.equal(tree.plainBytes, sum);
  const mean = sum / tree.files.length / 1024;
  t.ok(mean > 8 && mean < 9.5, `mean size ${mean} KiB`);
  const share = tree.storedBytes / sum;
  t.ok(share > 0.25 && share < 0.35, `stored at ${share}`);
  const served = (path: string): string => join(tree.served, tree.fqrn, path);
  t.ok(tree.objects.every((path) => existsSync(served(path))));
  t.equal(
    tree.objects.reduce((all, path) => all + statSync(served(path)).size, 0),
    tree.storedBytes,
  );
  t.ok(tree.files.every(({ path, size }) => statSync(join(tree.local, path)).size === size));
  t.end();
});

t.test('a kept tree is taken as it is, and made the same again', (t) => {
  const before = kept('tree');
  const marker = join(before.served, 'marker');
  writeFileSync(marker, '');
  t.strictSame(kept('tree'), before);
  t.ok(existsSync(marker));
  rmSync(place.trees, { recursive: true });
  t.equal(kept('tree').rootHash, before.rootHash);
  t.notOk(existsSync(marker));
  t.end();
});

t.test('a tree of an older version is made anew', (t) => {
  const facts = join(place.trees, 'tree-small', 'facts.json');
  const old = JSON.parse(readFileSync(facts, 'utf8')) as object;
  writeFileSync(facts, JSON.stringify({ ...old, version: 0, rootHash: 'old' }));
  t.not(kept('tree').rootHash, 'old');
  t.end();
});

t.test('many catalogs, and chunks of uneven sizes', (t) => {
  t.equal(kept('catalogs').catalogs, 101);
  const { files, plainBytes } = kept('chunked');
  t.equal(plainBytes, 32 * 2 ** 20);
  t.equal(files[0]?.objects.length, 4);
  t.end();
});
