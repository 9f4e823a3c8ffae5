import t from 'tap';
import { openMade } from '../testing/fakes/opened-tree.js';
import { directory, file, makeRepository, type EntrySpec } from '../publish/write-repository.js';

void t.test('directories that were loaded are kept up to a bound, however many there are', (t) => {
  const files: Record<string, EntrySpec> = {};
  for (let index = 0; index < 1000; index++) files[`f${index}`] = file('the same');
  const names = Array.from({ length: 24 }, (_, index) => `d${index}`);
  const spec = Object.fromEntries(names.map((name) => [name, directory(files)]));
  const { tree, shelf } = openMade(t, makeRepository({ revisions: [{ tree: spec }] }));
  const loads = (name: string | undefined): number => {
    const { node } = shelf.must(() => tree.resolve(`/${name}`));
    const before = tree.statistics.directoriesLoaded;
    shelf.must(() => tree.list(node, 0, 10));
    return tree.statistics.directoriesLoaded - before;
  };
  t.strictSame(
    names.map((name) => loads(name)),
    names.map(() => 1),
  );
  t.equal(loads(names.at(-1)), 0, 'the last ones stay');
  t.equal(loads(names.at(-12)), 0);
  t.equal(loads(names[0]), 1, '20 MB are too much: the first was let go');
  t.end();
});
