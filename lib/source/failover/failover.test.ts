import fc from 'fast-check';
import t from 'tap';
import { nothingMet, openFailover, type Met, type Plan, type Way } from './failover.js';

/** Two mirrors; hops 0 and 1 are one group, 2 the next, 3 (DIRECT, say) the last. */
const plan: Plan = {
  mirrors: 2,
  groups: [
    [[0, 1], [2], [3]],
    [[0, 1], [2], [3]],
  ],
  shard: false,
  hopResetAfter: 300,
  mirrorResetAfter: 1800,
};

/** Draws that prefer hops in their order. */
function inOrder(): () => number {
  let next = 0;
  return () => next++ / 100;
}

const way = (mirror: number, hop: number): Way => ({ mirror, hop });
const met = (some: Partial<Met>): Met => ({ ...nothingMet, ...some });

void t.test('a proxy that fails goes behind the others of its group, then the next group', (t) => {
  const failover = openFailover(plan, inOrder());
  t.same(failover.current(0), way(0, 0));
  t.same(failover.failed(way(0, 0), 'hop', 10), {
    from: way(0, 0),
    to: way(0, 1),
    isLast: false,
  });
  t.equal(failover.failed(way(0, 0), 'hop', 11), undefined, 'others were under way: no new change');
  t.match(failover.failed(way(0, 1), 'hop', 20), { to: way(0, 2) });
  t.match(failover.failed(way(0, 2), 'hop', 30), { to: way(0, 3) });
  t.match(failover.failed(way(0, 3), 'hop', 40), { to: way(0, 0), isLast: true });
  t.match(failover.failed(way(0, 0), 'hop', 50), { to: way(0, 1) }, 'what failed longest ago');
  t.end();
});

void t.test('the preferred one returns after its time, not before, or when it answered', (t) => {
  const failover = openFailover(plan, inOrder());
  failover.failed(way(0, 0), 'hop', 10);
  failover.failed(way(0, 1), 'hop', 10);
  failover.failed(way(0, 2), 'mirror', 20);
  t.same(failover.current(300), way(1, 2));
  t.same(failover.current(310), way(1, 0));
  t.same(failover.current(1819), way(1, 0));
  t.same(failover.current(1820), way(0, 0));
  t.same(failover.current(5), way(0, 0), 'a clock that was set back');
  t.equal(failover.answered(way(0, 0), 9, 30), undefined, 'what was asked before says nothing');
  t.match(failover.answered(way(1, 0), 25, 30), { to: way(1, 0) });
  t.match(failover.answered(way(0, 0), 25, 31), { to: way(0, 0) });
  t.end();
});

void t.test('after 0 it never returns by itself', (t) => {
  const failover = openFailover({ ...plan, hopResetAfter: 0 }, inOrder());
  failover.failed(way(0, 0), 'hop', 10);
  t.same(failover.current(1e12), way(0, 1));
  t.end();
});

void t.test('where either may be at fault both are changed', (t) => {
  const failover = openFailover(plan, inOrder());
  t.match(failover.failed(way(0, 0), 'either', 10), { to: way(1, 1) });
  const probes = failover.probes(way(0, 0), 11);
  t.same(probes, [
    { way: way(0, 1), clears: 'mirror' },
    { way: way(1, 0), clears: 'hop' },
  ]);
  const clear = (): unknown => probes[1] && failover.cleared(probes[1], 11);
  t.match(clear(), { to: way(1, 0) }, 'it was the mirror');
  t.equal(failover.failed(way(0, 0), 'either', 11), undefined, 'the mirror failed before');
  t.same(failover.probes(way(0, 0), 11)[0], { way: way(0, 1), clears: 'mirror' });
  failover.failed(way(1, 0), 'hop', 12);
  t.match(clear(), { to: way(1, 0) });
  failover.failed(way(1, 0), 'hop', 13);
  t.equal(clear(), undefined, 'it only answers probes');
  t.same(
    openFailover({ ...plan, mirrors: 1, groups: [[[0]]] }, inOrder()).probes(way(0, 0), 1),
    [],
  );
  t.end();
});

void t.test('one of a group is drawn, or each object has its own', (t) => {
  const drawn = openFailover(plan, () => 0.5 - 0.01);
  t.same(drawn.current(0), way(0, 0));
  const other = openFailover(plan, rising([0.9, 0.1, 0, 0]));
  t.same(other.current(0), way(0, 1));
  const shard = openFailover({ ...plan, shard: true }, inOrder());
  const hops = Array.from({ length: 400 }, (_, i) => shard.pick(`object ${i}`, nothingMet, 0)?.hop);
  const firsts = hops.filter((hop) => hop === 0).length;
  t.ok(firsts > 140 && firsts < 260, `${firsts} of 400`);
  t.ok(hops.every((hop) => hop === 0 || hop === 1));
  shard.failed(way(0, 0), 'hop', 1);
  const moved = hops.map((hop, i) => [hop, shard.pick(`object ${i}`, nothingMet, 2)?.hop]);
  t.ok(
    moved.every(([, now]) => now === 1),
    'those of the one that failed go to the other',
  );
  t.end();
});

function rising(values: readonly number[]): () => number {
  let at = 0;
  return () => values[at++] ?? 0;
}

void t.test('what one request met counts for it alone', (t) => {
  const failover = openFailover(plan, inOrder());
  const missing = new Set([0]);
  t.same(failover.pick('', met({ missing }), 0), way(1, 0));
  t.equal(failover.pick('', met({ missing: new Set([0, 1]) }), 0), undefined);
  const damaged = [way(0, 0)];
  const order: (Way | undefined)[] = [];
  for (let next; (next = failover.pick('', met({ damaged }), 0)) !== undefined; damaged.push(next))
    order.push(next);
  t.same(
    order,
    [0, 0, 0, 1, 1, 1, 1].map((m, i) => way(m, [1, 2, 3, 0, 1, 2, 3][i] ?? 0)),
  );
  t.same(failover.pick('', met({ failed: [way(0, 0)] }), 0), way(0, 1));
  t.same(failover.current(0), way(0, 0));
  t.end();
});

void t.test('a mirror that answers much sooner goes first', (t) => {
  const failover = openFailover(plan, inOrder());
  t.equal(failover.measured(0, 200, 1), undefined);
  t.equal(failover.measured(1, 130, 1), undefined, 'not for a little');
  t.match(failover.measured(1, 20, 1), { from: way(0, 0), to: way(1, 0) });
  t.equal(failover.measured(1, 500, 2), undefined, 'this machine was busy');
  failover.failed(way(1, 0), 'mirror', 2);
  t.same(failover.current(2), way(0, 0));
  const near = openFailover(plan, inOrder());
  near.measured(0, 49, 1);
  t.equal(near.measured(1, 1, 1), undefined, 'not for a few milliseconds');
  t.end();
});

void t.test('DIRECT only where it is named: never another hop than a mirror has', (t) => {
  const few: Plan = { ...plan, groups: [[[0]], [[1]]] };
  const step = fc.record({
    mirror: fc.nat(1),
    fault: fc.constantFrom('mirror' as const, 'hop' as const, 'either' as const),
    now: fc.nat(4000),
    answers: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const failover = openFailover(few, inOrder());
      for (const { mirror, fault, now, answers } of steps) {
        const one = way(mirror, mirror);
        if (answers) failover.answered(one, now, now);
        else failover.failed(one, fault, now);
        const next = failover.current(now);
        if (next.mirror !== next.hop) return false;
        if (failover.pick('', met({ failed: [next] }), now)?.mirror === next.mirror) return false;
      }
      return true;
    }),
  );
  t.end();
});
