import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { promiseBytes, type Wait } from '../../source/wait.js';
import { waitOf } from '../../testing/waiting.js';
import type { Leg, Waiter, Work } from './flight.js';
import { Flights } from './flights.js';
import type { FlightLimits } from './places.js';

const limits: FlightLimits = {
  atOnce: 3,
  lightPlaces: 1,
  lightWeight: 10,
  weight: 100,
  ahead: 10,
  aheadAtOnce: 2,
  aheadBesideBytes: 0,
  aheadBesideMs: 50,
};

/** Flights that are steered by hand. */
function steered(t: { teardown(end: () => unknown): unknown }, given: Partial<FlightLimits> = {}) {
  const flights = new Flights({ ...limits, ...given });
  t.teardown(() => flights.close());
  const legs = new Map<string, Leg>();
  const ends = new Map<string, (error?: PinfsError) => void>();
  const begun: string[] = [];
  const work =
    (key: string): Work =>
    (leg) => {
      begun.push(key);
      legs.set(key, leg);
      return leg.transfer(
        () =>
          new Promise<void>((resolve, reject) => {
            const interrupt = (): void => reject(new PinfsError('INTERRUPTED', 'so it is'));
            leg.signal.addEventListener('abort', interrupt);
            ends.set(key, (error) => (error === undefined ? resolve() : reject(error)));
          }),
      );
    };
  const urgencies = (): Record<string, string> =>
    Object.fromEntries([...legs].map(([key, leg]) => [key, leg.demand.urgency]));
  return {
    flights,
    begun,
    urgencies,
    leg(key: string): Leg {
      const leg = legs.get(key);
      if (leg === undefined) throw new Error(`${key} does not fly`);
      return leg;
    },
    end: (key: string, error?: PinfsError) => ends.get(key)?.(error),
    ahead: (key: string, weight = 1) => flights.ahead(key, weight, work(key)),
    join: (key: string, waiter: Partial<Waiter> = {}, weight = 1) => {
      const joined = flights.join(key, weight, work(key), {
        wait: waitOf(60_000),
        late: () => new PinfsError('SOURCE_TIMEOUT', 'late'),
        signal: undefined,
        persistent: true,
        heard: undefined,
        ...waiter,
      });
      joined.catch(() => undefined);
      return joined;
    },
  };
}

/** A wait with this deadline for so many bytes. */
function promised(deadline: number, bytes = 1e6): Wait {
  const wait = waitOf(deadline);
  promiseBytes(wait, bytes);
  return wait;
}

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

void t.test('what is wanted waits behind nothing that is fetched ahead', async (t) => {
  const it = steered(t);
  for (const key of ['a', 'b', 'c']) it.ahead(key);
  t.same(it.begun, ['a', 'b'], 'so many at once');
  const wanted = it.join('w');
  t.same(it.begun, ['a', 'b', 'w'], 'it takes a place at once');
  t.same(it.urgencies(), { a: 'held', b: 'held', w: 'wanted' });
  const promoted = it.join('b');
  t.same(it.urgencies(), { a: 'held', b: 'wanted', w: 'wanted' });
  it.end('w');
  await wanted;
  t.equal(it.leg('a').demand.urgency, 'held', 'as long as something is wanted');
  it.end('b');
  await promoted;
  t.equal(it.leg('a').demand.urgency, 'ahead', 'then it goes on');
  t.same(it.begun, ['a', 'b', 'w', 'c'], 'and so does the queue');
});

void t.test('the line is free while what came is unpacked', async (t) => {
  const it = steered(t);
  let unpacked = (): void => undefined;
  const wanted = it.flights.join(
    'w',
    1,
    async (leg) => {
      await leg.transfer(() => Promise.resolve());
      await new Promise<void>((resolve) => (unpacked = resolve));
    },
    {
      wait: waitOf(60_000),
      late: () => new PinfsError('SOURCE_TIMEOUT', 'late'),
      signal: undefined,
      persistent: true,
      heard: undefined,
    },
  );
  it.ahead('a');
  t.same(it.begun, []);
  await sleep(1);
  t.same(it.begun, ['a']);
  unpacked();
  await wanted;
});

void t.test('what is fetched ahead gives its memory away, and is begun again', async (t) => {
  const it = steered(t);
  it.ahead('a', 60);
  it.ahead('b', 40);
  const wanted = it.join('w', {}, 50);
  t.ok(it.leg('b').signal.aborted, 'the last one first');
  t.ok(it.leg('a').signal.aborted);
  t.equal(it.leg('w').demand.urgency, 'wanted');
  it.end('w');
  await wanted;
  t.same(it.begun, ['a', 'b', 'w', 'a', 'b'], 'in the same order');
});

void t.test('what is small has places of its own', async (t) => {
  const it = steered(t);
  const heavy = ['h1', 'h2', 'h3'].map((key) => it.join(key, {}, 20));
  const light = it.join('l');
  t.same(it.begun, ['h1', 'h2', 'l']);
  it.end('l');
  await light;
  it.end('h1');
  await heavy[0];
  t.same(it.begun, ['h1', 'h2', 'l', 'h3']);
});

void t.test('a wait lasts as long as there is progress', async (t) => {
  const it = steered(t);
  const began = performance.now();
  const rejected = t.rejects(it.join('w', { wait: promised(600) }), { code: 'SOURCE_TIMEOUT' });
  while (performance.now() - began < 1300) {
    await sleep(20);
    it.leg('w').demand.came(100_000);
  }
  const last = performance.now();
  await rejected;
  t.ok(performance.now() - began >= 1300, 'not while bytes come');
  t.ok(performance.now() - last >= 590, 'but one deadline later');
  t.notOk(it.leg('w').signal.aborted, 'the flight goes on');
  t.equal(it.leg('w').demand.urgency, 'ahead', 'as one that nobody waits for');
});

void t.test('a drip is no progress, and a promise that was kept ends the wait', async (t) => {
  const it = steered(t);
  const drip = setInterval(() => it.leg('w').demand.came(1), 10);
  t.teardown(() => clearInterval(drip));
  await t.rejects(it.join('w', { wait: waitOf(100) }), { code: 'SOURCE_TIMEOUT' });
  const flood = setInterval(() => it.leg('w').demand.came(1e6), 10);
  t.teardown(() => clearInterval(flood));
  // 100 ms and 100 bytes at 1,024 a second.
  const wait = promised(100, 100);
  const began = performance.now();
  await t.rejects(it.join('w', { wait }), { code: 'SOURCE_TIMEOUT' });
  t.ok(performance.now() - began >= 190);
});

void t.test(
  'whoever stands in the queue waits as long as there is progress before him',
  async (t) => {
    const it = steered(t, { atOnce: 1, lightPlaces: 0 });
    const first = it.join('first');
    const promised = { ...waitOf(150), promised: 1e6 };
    const second = it.join('second', { wait: promised });
    for (let step = 0; step < 10; step++) {
      await sleep(50);
      it.leg('first').demand.came(100_000);
    }
    t.same(it.begun, ['first']);
    it.end('first');
    await first;
    t.same(it.begun, ['first', 'second']);
    it.end('second');
    await second;
  },
);

void t.test('who waited too long hears of the last trouble', async (t) => {
  const it = steered(t);
  const heard: unknown[] = [];
  const joined = it.join('w', {
    wait: waitOf(50),
    heard: (bytes, trouble) => heard.push(bytes, trouble?.code),
  });
  t.equal(it.leg('w').demand.persistent, true);
  it.leg('w').demand.failed(new PinfsError('SOURCE_UNREACHABLE', 'refused'));
  await t.rejects(joined, { code: 'SOURCE_UNREACHABLE' });
  t.same(heard, [0, 'SOURCE_UNREACHABLE']);
  t.equal(it.leg('w').demand.persistent, false, 'nobody waits any more');
});

void t.test('a new waiter takes up what the last one gave up', async (t) => {
  const it = steered(t);
  await t.rejects(it.join('w', { wait: waitOf(10) }), { code: 'SOURCE_TIMEOUT' });
  const again = it.join('w');
  t.equal(it.leg('w').demand.urgency, 'wanted');
  it.end('w');
  await again;
  t.same(it.begun, ['w']);
});

void t.test('what nobody waits for flies beside the rest as far as that holds nobody up', (t) => {
  const steering = steered(t, { aheadBesideBytes: 3 });
  const { ahead, begun, join, urgencies } = steering;
  void join('wanted');
  ahead('before');
  t.same(begun, ['wanted'], 'nothing is known of the line');
  const { demand } = steering.leg('wanted');
  demand.came(1000);
  const later = performance.now() + 60;
  while (performance.now() < later);
  demand.came(1_000_000);
  ahead('one');
  t.same(begun, ['wanted', 'before', 'one']);
  t.same(urgencies(), { wanted: 'wanted', before: 'ahead', one: 'ahead' });
  ahead('two', 10);
  t.same(begun, ['wanted', 'before', 'one'], 'more would');
  t.end();
});
