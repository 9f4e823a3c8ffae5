import { setImmediate as turn } from 'node:timers/promises';
import t from 'tap';
import { asPinfsError } from '../../format/errors.js';
import type { Urgency } from '../../source/http/demand.js';
import { parseKey } from '../key.js';
import type { Prepared } from './commit.js';
import { openCommitter } from './committer.js';
import type { Disk } from './disk.js';

/** A disk that notes how many objects are recorded together; those whose size is odd fail. */
function open(limit = 1e9) {
  const batches: number[] = [];
  const commit = (batch: readonly Prepared[]): (Error | undefined)[] => {
    batches.push(batch.length);
    return batch.map(({ size }) => (size % 2 === 1 ? new Error(`size ${size}`) : undefined));
  };
  return { batches, committer: openCommitter({ limit, commit } as unknown as Disk) };
}

function prepared(size: number): Prepared {
  const key = parseKey(size.toString(16).padStart(40, '0'));
  if (key === undefined) throw new Error('no key');
  return { key, size, sha256: Buffer.alloc(32), plain: Buffer.alloc(0) };
}

function ahead() {
  let changed: () => void = () => undefined;
  const demand = {
    urgency: 'ahead' as Urgency,
    watch: (call: () => void) => {
      changed = call;
      return () => undefined;
    },
  };
  const want = (): void => {
    demand.urgency = 'wanted';
    changed();
  };
  return { demand, want };
}

void t.test('many are recorded together, with a result for each in their order', async (t) => {
  const { batches, committer } = open();
  const one = committer.add(prepared(2));
  const results = await committer.addAll([4, 5, 6, 7].map(prepared));
  t.same(
    results.map((error) => error?.message),
    [undefined, 'size 5', undefined, 'size 7'],
  );
  await one;
  t.same(batches, [5]);
  t.same(await committer.addAll([]), []);
  await t.rejects(committer.add(prepared(9)), { message: 'size 9' });
});

void t.test('what is too much for one transaction is recorded by several', async (t) => {
  const { batches, committer } = open();
  const many = Array.from({ length: 1000 }, (_, index) => prepared(2 * index));
  t.same(await committer.addAll(many), new Array(1000).fill(undefined));
  t.ok(batches.length > 1);
  t.equal(
    batches.reduce((sum, count) => sum + count, 0),
    1000,
  );
  const small = open(4000);
  await small.committer.addAll([600, 600, 600, 2000].map(prepared));
  t.same(small.batches, [1, 1, 1, 1], 'a quarter of the limit at once');
});

void t.test('what nobody waits for rests until somebody does', async (t) => {
  const { batches, committer } = open();
  const { demand, want } = ahead();
  const results = committer.addAll([2, 3].map(prepared), demand);
  await turn();
  t.same(batches, []);
  want();
  t.same(
    (await results).map((error) => error?.message),
    [undefined, 'size 3'],
  );
  t.same(batches, [2]);
  await committer.add(prepared(2), ahead().demand);
  t.same(batches, [2, 1], 'not for ever');
});

void t.test('what was not recorded when it is closed is interrupted', async (t) => {
  const { batches, committer } = open();
  const results = committer.addAll([2, 4].map(prepared), ahead().demand);
  const one = committer.add(prepared(6));
  committer.close();
  t.same(
    (await results).map((error) => asPinfsError(error).code),
    ['INTERRUPTED', 'INTERRUPTED'],
  );
  await t.rejects(one, { code: 'INTERRUPTED' });
  t.same(batches, []);
});
