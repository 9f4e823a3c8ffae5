import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { stubLog, stubTimer } from '../../testing/fakes/stub-mount.js';
import { endWhenIdle } from './idle.js';

function setUp(answers: readonly (PinfsError | undefined)[]) {
  const timer = stubTimer();
  const log = stubLog();
  const state = { requests: { LOOKUP: 1 }, asked: [] as number[] };
  const begin = timer.now();
  const left = [...answers];
  const session = {
    unmount: () => {
      state.asked.push(timer.now() - begin);
      const answer = left.shift();
      return answer === undefined ? Promise.resolve({ ended: true }) : Promise.reject(answer);
    },
  };
  const mounted = {
    get statistics() {
      return { requests: { ...state.requests } };
    },
  };
  return { timer, log, state, stop: endWhenIdle(60_000, session, mounted, { timer, log }) };
}

void t.test('it ends when no request has come for so long', async (t) => {
  const { timer, state, stop } = setUp([]);
  for (const count of [2, 3, 4]) {
    await timer.advance(45_000);
    state.requests.LOOKUP = count;
  }
  t.same(state.asked, []);
  Object.assign(state.requests, { LOOKUP: 4, FORGET: 1 });
  await timer.advance(90_000);
  t.equal(state.asked.length, 1);
  stop();
  t.equal(timer.waiting(), 0);
});

void t.test('one in use stays, and is asked again later', async (t) => {
  const busy = new PinfsError('MOUNT_BUSY', 'in use');
  const { timer, state, log } = setUp([busy, busy]);
  await timer.advance(200_000);
  t.same(state.asked, [60_000, 120_000, 180_000]);
  t.same(log.lines, ['info nobody has used the mount for 60 s']);
});

void t.test('what is wrong with it is told', async (t) => {
  const { timer, log } = setUp([new PinfsError('MOUNT_FAILED', 'no rights')]);
  await timer.advance(61_000);
  t.same(log.lines, ['warn no rights']);
});
