import t from 'tap';
import { fakeFilesystem } from '../../../testing/fakes/fake-session.js';
import { makeFakeTree } from '../../../testing/fakes/fake-tree.js';
import {
  closeSnapshots,
  forget,
  isPlain,
  kernelNodeHigh,
  kernelNodeLow,
  openSnapshots,
  closeDirectoryHandle,
  closeHandle,
  openHandle,
  snapshotOfHandle,
  replaceSnapshot,
  snapshotOf,
  treeNode,
  type Snapshots,
} from './snapshots.js';

function built(closed: string[], name: string) {
  const filesystem = fakeFilesystem(makeFakeTree({ children: {} }));
  return { filesystem, close: () => closed.push(name) };
}

function open() {
  const closed: string[] = [];
  const snapshots = openSnapshots(built(closed, 'first'));
  return { snapshots, closed };
}

function idOf(snapshots: Snapshots, node: number, plain = false) {
  return [kernelNodeLow(node), kernelNodeHigh(snapshots.current, node, plain)] as const;
}

void t.test('a node id leads back to the node, whatever its size', (t) => {
  const { snapshots } = open();
  for (const node of [1, 2, 0xffffffff, 2 ** 32, 7 * 2 ** 32 + 5, 2 ** 52 - 1]) {
    const [low, high] = idOf(snapshots, node);
    t.equal(snapshotOf(snapshots, low, high), snapshots.current);
    t.equal(treeNode(snapshots.current, low, high), node);
    t.notOk(high === 0, 'never 0 or 1, which mean something else');
    t.notOk(isPlain(high));
    const [, other] = idOf(snapshots, node, true);
    t.ok(isPlain(other));
    t.equal(treeNode(snapshots.current, low, other), node);
    t.equal(snapshotOf(snapshots, low, other), snapshots.current);
  }
  t.equal(snapshotOf(snapshots, 1, 0), snapshots.current, 'the root');
  t.equal(treeNode(snapshots.current, 1, 0), snapshots.current.filesystem.root);
  t.end();
});

void t.test('a replaced snapshot stays until its last node is forgotten', (t) => {
  const { snapshots, closed } = open();
  const [low, high] = idOf(snapshots, 9);
  const first = snapshots.current;
  first.lookups = 3;
  const directory = openHandle(first);
  replaceSnapshot(snapshots, built(closed, 'second'));
  t.equal(snapshotOf(snapshots, low, high), first);
  t.equal(snapshotOf(snapshots, 1, 0), snapshots.current);
  t.not(snapshots.current, first);
  forget(snapshots, high, 2);
  t.same(closed, []);
  t.equal(snapshotOfHandle(snapshots, directory), first);
  closeDirectoryHandle(snapshots, directory);
  t.same(closed, ['first']);
  t.equal(snapshotOf(snapshots, low, high), undefined);
  t.equal(snapshotOfHandle(snapshots, directory), undefined);
  closeHandle(snapshots, directory);
  t.equal(snapshots.oddForgets, 0);
  forget(snapshots, high, 1);
  t.equal(snapshots.oddForgets, 1);
  t.end();
});

void t.test('one that nobody holds is closed at once, and the numbers come round', (t) => {
  const { snapshots, closed } = open();
  for (let change = 0; change < 5000; change += 1) {
    const before = snapshots.current.epoch;
    replaceSnapshot(snapshots, built(closed, String(change)));
    if (snapshots.current.epoch === before || snapshots.current.epoch === 0)
      t.fail('a used number');
  }
  t.equal(closed.length, 5000);
  t.equal(snapshots.byEpoch.size, 1);
  t.end();
});

void t.test('a number that is held is not given twice, and not too many are held', (t) => {
  const { snapshots, closed } = open();
  snapshots.current.lookups = 1;
  const first = snapshots.current;
  for (let change = 0; change < 2100; change += 1) {
    replaceSnapshot(snapshots, built(closed, String(change)));
    if (snapshots.current.epoch === first.epoch) t.fail('it is held');
  }
  t.ok(snapshots.byEpoch.has(first.epoch));
  for (let change = 0; change < 20; change += 1) {
    snapshots.current.lookups = 1;
    replaceSnapshot(snapshots, built(closed, 'held'));
  }
  t.equal(snapshots.byEpoch.size, 8);
  t.notOk(snapshots.byEpoch.has(first.epoch), 'the oldest goes first');
  const held = snapshots.current;
  held.opens = 1;
  for (let change = 0; change < 100; change += 1) {
    snapshots.current.lookups = 1;
    replaceSnapshot(snapshots, built(closed, 'held'));
    if (change === 20) t.ok(snapshots.byEpoch.has(held.epoch), 'with an open file it stays');
    snapshots.current.opens = 1;
  }
  t.equal(snapshots.byEpoch.size, 32, 'but there is an end to it');
  t.notOk(snapshots.byEpoch.has(held.epoch));
  closeSnapshots(snapshots);
  t.equal(snapshots.byEpoch.size, 0);
  t.end();
});

void t.test('where the kernel asks for no OPEN, files may be open in each of 32', (t) => {
  const { snapshots, closed } = open();
  const first = snapshots.current;
  for (let change = 1; change < 32; change += 1) {
    snapshots.current.lookups = 1;
    replaceSnapshot(snapshots, built(closed, String(change)), false);
  }
  t.ok(snapshots.byEpoch.has(first.epoch), 'though none is counted');
  snapshots.current.lookups = 1;
  replaceSnapshot(snapshots, built(closed, 'one more'), false);
  t.notOk(snapshots.byEpoch.has(first.epoch));
  closeSnapshots(snapshots);
  t.end();
});

void t.test('an epoch comes again when it is forgotten, and a generation never', (t) => {
  const { snapshots, closed } = open();
  const first = snapshots.current;
  first.lookups = 5;
  const file = openHandle(first);
  closeHandle(snapshots, file);
  const change = (times: number) => {
    for (let count = 0; count < times; count += 1) {
      snapshots.current.lookups += 1;
      replaceSnapshot(snapshots, built(closed, String(count)));
    }
  };
  change(2040);
  t.notOk(snapshots.byEpoch.has(first.epoch), 'it was closed long ago');
  t.equal(snapshots.unforgotten.get(first.epoch), 6, 'and the kernel still holds nodes of it');
  forget(snapshots, kernelNodeHigh({ ...first, epoch: 2 }, 1, false), 1);
  forget(snapshots, kernelNodeHigh(first, 1, false), 2);
  t.equal(snapshots.unforgotten.get(first.epoch), 4, 'counted on');
  change(7);
  t.equal(snapshots.current.epoch, 2, 'one that is forgotten comes first');
  t.equal(snapshots.unforgotten.has(2), false);
  t.equal(snapshotOfHandle(snapshots, file), undefined, 'a handle is of one generation');
  // None is forgotten any more: what comes next is taken, with the lookups that are still out.
  change(2046);
  const next = snapshots.current;
  t.ok(next.lookups > 0);
  t.equal(next.generation, 1 + 2040 + 7 + 2046);
  t.equal(snapshots.oddForgets, 0);
  closeSnapshots(snapshots);
  t.end();
});
