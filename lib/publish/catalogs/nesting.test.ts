import t, { type Test } from 'tap';
import { seededRandom } from '../../laboratory/random.js';
import { catalogsOf, openPublishing } from '../../testing/publishing.js';
import { directory, file, type TreeSpec } from '../spec.js';
import { placeCatalogs, usualEntriesMax, usualEntriesMin } from './nesting.js';
import {
  automaticMarker,
  directoryNode,
  nestedMarker,
  plainAttributes,
  type DirectoryNode,
  type FileNode,
} from './tree-node.js';

const marker: FileNode = {
  ...plainAttributes(0o644, 0),
  type: 'file',
  size: 0,
  algorithm: 'sha1',
  compression: 'zlib',
  external: false,
  directIo: false,
  hash: undefined,
  chunks: undefined,
};

function folder(): DirectoryNode {
  return directoryNode(plainAttributes(0o755, 0));
}

/** A tree of random shape; `order` mixes in which order its entries come, and nothing else. */
function randomTree(seed: number, order: () => number): DirectoryNode {
  const random = seededRandom(seed);
  const fill = (node: DirectoryNode, depth: number): void => {
    const entries: (readonly [string, DirectoryNode | FileNode])[] = [];
    for (let index = Math.floor(random() * 40); index > 0; index--)
      entries.push([`file${index}`, marker]);
    for (let index = depth < 4 ? Math.floor(random() * 6) : 0; index > 0; index--) {
      const child = folder();
      fill(child, depth + 1);
      entries.push([`dir${index}`, child]);
    }
    for (const [, entry] of entries.map((entry) => [order(), entry] as const).sort(byNumber))
      node.children?.set(...entry);
  };
  const root = folder();
  fill(root, 0);
  return root;
}

const byNumber = ([a]: readonly [number, unknown], [b]: readonly [number, unknown]): number =>
  a - b;

/** How many entries each catalog has, by where it begins; and the largest directory in it that begins none. */
function catalogSizes(root: DirectoryNode): Map<string, { entries: number; divisible: number }> {
  const found = new Map<string, { entries: number; divisible: number }>();
  const visit = (path: string, node: DirectoryNode): void => {
    const size = { entries: 1, divisible: 0 };
    const inside = (at: string, one: DirectoryNode): number => {
      const before = size.entries;
      for (const [name, child] of one.children ?? []) {
        size.entries++;
        if (child.type !== 'directory') continue;
        if (child.nested) visit(`${at}/${name}`, child);
        else size.divisible = Math.max(size.divisible, 1 + inside(`${at}/${name}`, child));
      }
      return size.entries - before;
    };
    inside(path, node);
    found.set(path, size);
  };
  visit('', root);
  return found;
}

const rules = { dirtab: undefined, entriesMax: 60, entriesMin: 10, marker };
// Two files mark each catalog that is made.
const markers = 2;

t.test('no catalog has more than it may as long as something in it can be divided', (t) => {
  let divided = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const root = randomTree(seed, () => 0);
    placeCatalogs(root, rules);
    const sizes = catalogSizes(root);
    divided += sizes.size - 1;
    for (const [path, { entries, divisible }] of sizes)
      if (entries - markers > rules.entriesMax && divisible > rules.entriesMin + markers)
        t.fail(`seed ${seed}: ${path} has ${entries}, and ${divisible} in a directory`);
  }
  t.ok(divided > 100, `${divided} catalogs`);
  t.end();
});

t.test('where catalogs begin does not depend on the order in which entries come', (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const [one, other] = [randomTree(seed, () => 0), randomTree(seed, seededRandom(seed + 100))];
    placeCatalogs(one, rules);
    placeCatalogs(other, rules);
    const places = [one, other].map((root) => [...catalogSizes(root).keys()].sort());
    t.same(places[0], places[1]);
  }
  t.end();
});

t.test('what is small enough is not divided; what is divided says so', (t) => {
  const root = folder();
  for (const [name, count] of [
    ['large', 45],
    ['small', 8],
  ] as const) {
    const child = folder();
    for (let index = 0; index < count; index++) child.children?.set(`file${index}`, marker);
    root.children?.set(name, child);
  }
  placeCatalogs(root, { ...rules, entriesMax: 56 });
  t.same([...catalogSizes(root).keys()], [''], 'just as many as it may have');
  placeCatalogs(root, { ...rules, entriesMax: 55 });
  t.same([...catalogSizes(root).keys()].sort(), ['', '/large']);
  const large = root.children?.get('large');
  const names = large?.type === 'directory' ? [...(large.children?.keys() ?? [])] : [];
  t.ok(names.includes(nestedMarker) && names.includes(automaticMarker));
  t.end();
});

/** Six directories of 40 files. */
const wide = (changed: string): TreeSpec =>
  Object.fromEntries(
    Array.from({ length: 6 }, (_, at) => [
      `dir${at}`,
      directory(
        Object.fromEntries(
          Array.from({ length: 40 }, (_, index) => [
            `file${index}`,
            file(at === 4 && index === 7 ? changed : `${at} ${index}`),
          ]),
        ),
      ),
    ]),
  );

void t.test(
  'of catalogs that were divided, those stay in which nothing changed',
  async (t: Test) => {
    const scene = await openPublishing(t);
    const hashes = async (changed: string): Promise<Map<string, string>> => {
      const { rootHash } = await scene.publish({ tree: wide(changed), entriesMax: 100 });
      const catalogs = catalogsOf(scene, rootHash.text);
      return new Map([...catalogs].map(([path, { hash }]) => [path, hash]));
    };
    const before = await hashes('one');
    t.equal(before.size, 5, 'four of the six are divided off');
    const after = await hashes('other');
    t.same([...after.keys()].sort(), [...before.keys()].sort());
    const different = [...after].filter(([path, hash]) => before.get(path) !== hash);
    t.same(
      different.map(([path]) => path).filter((path) => path !== '' && path !== '/dir4'),
      [],
    );
  },
);

// `npm run soak` plays it: a quarter of a million entries.
if (process.env['PINFS_ALL_CASES'] === '1')
  t.test('a catalog with the usual limit is divided', (t) => {
    const root = folder();
    for (let at = 0; at < 220; at++) {
      const child = folder();
      for (let index = 0; index < 1000; index++) child.children?.set(`file${index}`, marker);
      root.children?.set(`dir${at}`, child);
    }
    placeCatalogs(root, {
      dirtab: undefined,
      entriesMax: usualEntriesMax,
      entriesMin: usualEntriesMin,
      marker,
    });
    const sizes = catalogSizes(root);
    t.equal(sizes.size, 22, 'as few as suffice');
    t.ok([...sizes.values()].every(({ entries }) => entries <= usualEntriesMax));
    t.end();
  });
