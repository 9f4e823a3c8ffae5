import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import type { Repository } from '../../repository/repository.js';
import {
  stubRepository,
  stubTimer,
  stubVerdict,
  type StubRepository,
} from '../../testing/fakes/stub-mount.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import { followHead } from './follow.js';

function setUp(
  ttl: number,
  refresh: (repository: Repository) => Promise<Repository | undefined>,
  replace: () => Promise<void> = () => Promise.resolve(),
) {
  const timer = stubTimer();
  const lines: string[] = [];
  const replaced: Repository[] = [];
  const told: number[] = [];
  let troubles = 0;
  let checks = 0;
  const repository = stubRepository({ pinned: false, ttl });
  const state: { ban: PinfsError | undefined; ended: number } = { ban: undefined, ended: 0 };
  const follower = followHead({
    repository,
    refuseBanned: () => {
      if (state.ban !== undefined) throw state.ban;
    },
    end: () => {
      state.ended += 1;
      return Promise.resolve();
    },
    nextCheck: (of) => of.tree.properties.ttl,
    refresh: (repository) => {
      checks += 1;
      return refresh(repository);
    },
    replace: (next) => {
      replaced.push(next);
      return replace();
    },
    troubled: () => {
      troubles += 1;
    },
    told: (_of, due) => told.push(due - timer.now()),
    timer,
    log: (level, message) => lines.push(`${level} ${message}`),
  });
  return {
    timer,
    lines,
    replaced,
    repository,
    follower,
    state,
    told,
    checks: () => checks,
    troubles: () => troubles,
  };
}

void t.test('the head is asked for when its time is over, and not before', async (t) => {
  const { timer, checks, follower } = setUp(240, () => Promise.resolve(undefined));
  await timer.advance(239_000);
  t.equal(checks(), 0);
  await timer.advance(1_000);
  t.equal(checks(), 1);
  await timer.advance(480_000);
  t.equal(checks(), 3);
  t.equal(follower.status().lastProblem, null);
  await follower.stop();
  t.equal(timer.waiting(), 0, 'nothing is left to come');
  t.equal(follower.status().nextCheck, null);
});

void t.test('a head that moved takes the place of the old one', async (t) => {
  const next = stubRepository({ pinned: false, ttl: 1000, rootHash: 'b'.repeat(40) });
  let moved = false;
  const { timer, replaced, repository, follower, lines } = setUp(240, () => {
    if (moved) return Promise.resolve(undefined);
    moved = true;
    return Promise.resolve(next);
  });
  await timer.advance(240_000);
  t.same(replaced.length, 1);
  t.equal(follower.current(), next);
  t.ok(repository.left(), 'the old one is closed');
  t.match(lines, [/now at bbbb/]);
  await timer.advance(999_000);
  t.equal(replaced.length, 1, 'the new one says when to ask again');
});

void t.test('what is served is told also where the old snapshot can’t be closed', async (t) => {
  const bad = () => {
    throw new PinfsError('CACHE_UNUSABLE', 'the index is gone');
  };
  const next = stubRepository({ pinned: false, rootHash: 'b'.repeat(40), leave: bad });
  const last = stubRepository({ pinned: false, rootHash: 'c'.repeat(40) });
  const heads = [next, last];
  const { timer, follower, lines, replaced } = setUp(240, () => Promise.resolve(heads.shift()));
  await timer.advance(240_000);
  t.equal(follower.current(), next);
  await timer.advance(240_000);
  t.equal(replaced.length, 2);
  t.equal(follower.current(), last, 'the new one is what is served');
  t.equal(follower.status().lastProblem, null, 'the head is where it should be');
  t.match(lines, [
    /^info now at bbbb/,
    /^warn the snapshot bbbb.*, no longer served, can't be closed: the index is gone \[CACHE_UNUSABLE\]$/,
    /^info now at cccc/,
  ]);
});

void t.test('a head that stays has the verdict of its last judgement', async (t) => {
  const reasons = (code: 'SOURCE_UNREACHABLE' | 'ROLLBACK') => [{ code, message: 'so it is' }];
  const lists = {
    old: { created: '2019', expires: '2020' },
    new: { created: '2019', expires: '2021' },
  };
  const verdicts: Verdict[] = [
    stubVerdict({ whitelist: lists.old }),
    stubVerdict({ whitelist: lists.new, summary: 'signed again' }),
    stubVerdict({ status: 'offline', summary: 'no route', reasons: reasons('SOURCE_UNREACHABLE') }),
    stubVerdict({ status: 'offline', summary: 'no route', reasons: reasons('SOURCE_UNREACHABLE') }),
    stubVerdict({ status: 'offline', summary: 'older', reasons: reasons('ROLLBACK') }),
    stubVerdict({ whitelist: lists.new }),
  ];
  const { timer, follower, lines, replaced, repository } = setUp(240, (repository) => {
    const verdict = verdicts.shift();
    if (verdict !== undefined) repository.judgedAgain(repository.opening, verdict);
    return Promise.resolve(undefined);
  });
  const problems: (string | undefined)[] = [];
  for (let check = 0; check < 6; check += 1) {
    await timer.advance(240_000);
    problems.push(follower.status().lastProblem?.code);
  }
  t.same(problems, [
    undefined,
    undefined,
    'SOURCE_UNREACHABLE',
    'SOURCE_UNREACHABLE',
    'ROLLBACK',
    undefined,
  ]);
  t.match(lines.slice(1), [
    /^info the head stays; its whitelist is now good until 2021$/,
    /^warn the head stays, offline: no route \[SOURCE_UNREACHABLE\]$/,
    /^warn the head stays, offline: older \[ROLLBACK\]$/,
    /^info the head can be had again: signed by a key/,
  ]);
  t.equal(lines.length, 5, 'each is said once');
  t.equal(follower.current(), repository);
  t.same(replaced, [], 'whoever reads or stands in it is not disturbed');
});

void t.test('when the head is asked for next is told, also after a failure', async (t) => {
  const { timer, told } = setUp(3600, () => Promise.reject(new PinfsError('ROLLBACK', 'older')));
  t.equal(told.at(-1), 3_600_000);
  await timer.advance(3_600_000);
  t.equal(told.at(-1), 180_000);
});

void t.test('a new snapshot that can’t be mounted is left, and the old one stays', async (t) => {
  const next: StubRepository = stubRepository({ pinned: false });
  const { timer, repository, follower } = setUp(
    240,
    () => Promise.resolve(next),
    () => Promise.reject(new PinfsError('ACCESS_DENIED', 'members only')),
  );
  await timer.advance(240_000);
  t.equal(follower.current(), repository);
  t.ok(next.left());
  t.notOk(repository.left());
  t.match(follower.status(), { lastProblem: { code: 'ACCESS_DENIED' } });
});

void t.test(
  'a check that fails changes nothing, is said once, and is tried again sooner',
  async (t) => {
    const { timer, lines, follower, checks } = setUp(3600, () =>
      Promise.reject(new PinfsError('SOURCE_UNREACHABLE', 'no route')),
    );
    const before = follower.current();
    await timer.advance(3_600_000 + 2 * 180_000);
    t.equal(checks(), 3);
    t.equal(follower.current(), before);
    t.same(lines, ['warn the head stays: no route [SOURCE_UNREACHABLE]']);
    t.match(follower.status(), { lastProblem: { code: 'SOURCE_UNREACHABLE' } });
  },
);

void t.test('what a repository asks for is bounded', async (t) => {
  const eager = setUp(0, () => Promise.resolve(undefined));
  await eager.timer.advance(60_000);
  t.ok(eager.checks() <= 6, 'not more than every ten seconds');
  const lazy = setUp(1e12, () => Promise.resolve(undefined));
  await lazy.timer.advance(86_400_000);
  t.equal(lazy.checks(), 1, 'at least once a day');
});

void t.test('a machine that slept asks soon after it wakes', async (t) => {
  const { timer, checks } = setUp(3600, () => Promise.resolve(undefined));
  timer.set(timer.now() + 7_200_000); // two hours pass, in which no timer runs
  await timer.advance(60_000);
  t.equal(checks(), 1);
});

void t.test('a clock that is set back does not put the next check off', async (t) => {
  const { timer, checks } = setUp(3600, () => Promise.resolve(undefined));
  await timer.advance(60_000);
  timer.set(timer.now() - 10 * 365 * 86_400_000);
  await timer.advance(60_000 + 3_600_000);
  t.equal(checks(), 1);
});

void t.test('stopping waits for the check that runs', async (t) => {
  let finish: (value: undefined) => void = () => undefined;
  const { timer, follower } = setUp(
    240,
    () =>
      new Promise((resolve) => {
        finish = resolve;
      }),
  );
  await timer.advance(240_000);
  let stopped = false;
  const stopping = follower.stop().then(() => (stopped = true));
  await Promise.resolve();
  t.notOk(stopped);
  finish(undefined);
  await stopping;
  t.ok(stopped);
  t.equal(timer.waiting(), 0);
});

void t.test('what is banned by now is not served any longer', async (t) => {
  const { timer, lines, follower, state } = setUp(240, () => Promise.resolve(undefined));
  state.ban = new PinfsError('USAGE', 'the blacklist cannot be read');
  await timer.advance(240_000);
  t.equal(state.ended, 0, 'that is no ban');
  state.ban = new PinfsError('REVISION_BLACKLISTED', 'revision 1 is banned');
  await timer.advance(240_000);
  t.equal(state.ended, 1);
  t.same(lines, [
    'error what is mounted is banned by now, and is unmounted: revision 1 is banned [REVISION_BLACKLISTED]',
  ]);
  t.match(follower.status(), { lastProblem: { code: 'REVISION_BLACKLISTED' } });
});

void t.test('asked to, it looks for a new head at once, and then in time again', async (t) => {
  const { timer, checks, follower } = setUp(240, () => Promise.resolve(undefined));
  await timer.advance(100_000);
  follower.checkNow();
  await timer.advance(0);
  t.equal(checks(), 1);
  await timer.advance(239_000);
  t.equal(checks(), 1);
  await timer.advance(1_000);
  t.equal(checks(), 2);
  await follower.stop();
  follower.checkNow();
  await timer.advance(0);
  t.equal(checks(), 2, 'but not after its end');
});

void t.test('a head that is refused is logged once, and so is its return', async (t) => {
  let bad = true;
  const refused = new PinfsError('MANIFEST_SIGNATURE', 'not signed by its certificate');
  const { timer, lines, troubles } = setUp(240, () =>
    bad ? Promise.reject(refused) : Promise.resolve(undefined),
  );
  await timer.advance(240_000);
  await timer.advance(180_000);
  await timer.advance(180_000);
  t.equal(troubles(), 3, 'each counts as an error');
  t.match(lines, [/^warn the head stays: not signed/]);
  t.equal(lines.length, 1);
  bad = false;
  await timer.advance(180_000);
  await timer.advance(240_000);
  t.equal(lines.length, 2);
  t.match(lines[1], /^info the head can be had again, and stays/);
  t.equal(troubles(), 3);
});
