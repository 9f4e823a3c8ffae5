import { createHash } from 'node:crypto';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { objectPath } from '../../format/hash.js';
import type { OnceListener } from '../../source/source.js';
import type { PreparedBytes } from '../cache/commit.js';
import { keyOf } from '../key.js';
import type { Want } from '../want.js';
import { Batch, type Begun } from './batch.js';

const served = { mirror: 0, hop: 0, fresh: false };

function wantOf(name: string): Want {
  const text = createHash('sha1').update(name).digest('hex');
  return {
    object: { hash: { algorithm: 'sha1', text }, kind: 'data' },
    compression: 'zlib',
    size: { kind: 'exact', bytes: 10 },
    path: `/${name}`,
  };
}

/** A batch over a source that answers when it is told to; an object of ten bytes is right if it begins with its name. */
function steered(t: { teardown(end: () => unknown): unknown }, atOnce = 2) {
  const asked = new Map<string, OnceListener & { held: boolean; isCancelled: boolean }>();
  const names = new Map<string, string>();
  const recorded: string[][] = [];
  const kept: string[] = [];
  const back: { readonly key: string; readonly begun: Begun | undefined }[] = [];
  const spent = { network: 0, store: 0 };
  let refusal: Error | undefined;
  let isAway = false;
  const nameOf = (want: Want): string => want.path.slice(1);
  const batch = new Batch({
    source: {
      once(path, _, listener) {
        if (isAway) return undefined;
        const name = names.get(path) ?? '';
        const request = { ...listener, held: false, isCancelled: false };
        asked.set(name, request);
        return {
          cancel: () => (request.isCancelled = true),
          hold: (held) => (request.held = held),
        };
      },
    },
    atOnce,
    queueMax: 5,
    weightOf: (want) => want.size.bytes,
    spent,
    verify(stored, want): PreparedBytes {
      if (!stored.toString().startsWith(nameOf(want)))
        throw new PinfsError('OBJECT_HASH_MISMATCH', 'it is another one');
      const key = keyOf(want.object, want.compression);
      return { key, plain: stored, size: stored.length, sha256: Buffer.alloc(32) };
    },
    record(objects) {
      recorded.push(objects.map(({ plain }) => plain.toString()));
      return Promise.resolve(objects.map(() => refusal));
    },
    listener: {
      begun: () => undefined,
      came: () => undefined,
      kept: (key) => kept.push(key),
      givenBack: (key, _, begun) => back.push({ key, begun }),
    },
  });
  t.teardown(() => batch.close());
  const want = (name: string): Want => {
    const one = wantOf(name);
    names.set(objectPath(one.object), name);
    return one;
  };
  const heard: number[] = [];
  const leg = (controller = new AbortController()) => ({
    signal: controller.signal,
    demand: {
      urgency: 'wanted' as const,
      persistent: true,
      watch: () => () => undefined,
      came: (bytes: number) => heard.push(bytes),
      failed: () => undefined,
    },
  });
  return {
    batch,
    spent,
    asked,
    recorded,
    kept,
    back,
    heard,
    leg,
    ahead: (name: string) => batch.ahead(name, want(name)),
    fetch: (name: string, controller?: AbortController) =>
      batch.fetch(name, want(name), leg(controller)),
    give: (name: string, bytes = name) => {
      asked.get(name)?.came(bytes.length);
      asked.get(name)?.ended({ bytes: Buffer.from(bytes), served });
    },
    refuse: (error: Error) => (refusal = error),
    goAway: () => (isAway = true),
  };
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

void t.test('what nobody waits for is asked for in its order, and recorded together', async (t) => {
  const it = steered(t);
  for (const name of ['a', 'b', 'c']) t.ok(it.ahead(name));
  t.same([...it.asked.keys()], ['a', 'b'], 'so many at once');
  t.ok(it.batch.has('c'));
  for (const name of ['a', 'b', 'c']) it.give(name);
  await soon();
  t.same(it.recorded, [['a', 'b', 'c']]);
  t.same(it.kept, ['a', 'b', 'c']);
  t.notOk(it.batch.has('a'));
  t.ok(it.spent.network > 0 && it.spent.store > 0, 'and its time is counted');
});

void t.test('the queue has an end', (t) => {
  const it = steered(t, 0);
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  t.same(names.map(it.ahead), [true, true, true, true, true, false]);
  t.end();
});

void t.test('who comes later waits for the request that is under way', async (t) => {
  const it = steered(t, 1);
  it.ahead('a');
  it.ahead('b');
  it.batch.allow(1, 0);
  t.equal(it.asked.get('a')?.held, true, 'others go before');
  const first = it.fetch('a');
  t.equal(it.asked.get('a')?.held, false);
  const urgent = it.fetch('b');
  t.same([...it.asked.keys()], ['a', 'b'], 'beyond what nobody waits for');
  it.give('a');
  it.give('b');
  t.equal(await first, 'kept');
  t.equal(await urgent, 'kept');
  t.same(it.heard, [1, 1], 'and is told what comes');
  t.same(it.back, []);
});

void t.test('who comes when it is here already has it recorded at once', async (t) => {
  const it = steered(t);
  it.ahead('a');
  it.give('a');
  t.same(it.recorded, []);
  const waiting = it.fetch('a');
  t.same(it.recorded, [['a']]);
  t.equal(await waiting, 'kept');
});

void t.test('what did not come as it should is given back with what is known', async (t) => {
  const it = steered(t, 4);
  for (const name of ['damaged', 'failed']) it.ahead(name);
  const waiting = it.fetch('waited for');
  const error = new PinfsError('SOURCE_STATUS', 'no');
  const tried = {
    way: { mirror: 0, hop: 0 },
    asked: 1,
    answer: { kind: 'failed', error, retry: 'later', fault: 'either' },
  } as const;
  it.give('damaged', 'something else');
  it.asked.get('failed')?.ended({ tried });
  it.asked.get('waited for')?.ended({ tried });
  t.same(await waiting, { tried }, 'to whoever waits');
  t.same(it.back, [
    { key: 'damaged', begun: { stored: Buffer.from('something else'), served } },
    { key: 'failed', begun: { tried } },
  ]);
});

void t.test('what could not be recorded is given back with its bytes', async (t) => {
  const it = steered(t);
  it.refuse(new Error('no room'));
  it.ahead('a');
  it.give('a');
  await soon();
  t.same(it.back, [{ key: 'a', begun: { stored: Buffer.from('a'), served } }]);
  t.same(it.kept, []);
});

void t.test('where no such request can be made all is given back', async (t) => {
  const it = steered(t);
  it.goAway();
  it.ahead('a');
  t.same(it.back, [{ key: 'a', begun: undefined }]);
  t.equal(await it.fetch('b'), undefined);
});

void t.test('a request for which nobody waits any more is ended', async (t) => {
  const it = steered(t);
  const controller = new AbortController();
  const waiting = it.fetch('a', controller);
  controller.abort();
  await t.rejects(waiting, { code: 'INTERRUPTED' });
  t.equal(it.asked.get('a')?.isCancelled, true);
  it.give('a');
  await soon();
  t.same([it.recorded, it.back], [[], []], 'what comes of it is of no use');
  t.notOk(it.batch.has('a'), 'whoever asks next asks anew');
});

void t.test('with the store all ends', async (t) => {
  const it = steered(t, 1);
  it.ahead('a');
  it.ahead('b');
  it.batch.close();
  t.equal(it.asked.get('a')?.isCancelled, true);
  t.notOk(it.batch.has('b'));
  t.notOk(it.ahead('c'));
  await t.rejects(it.fetch('a'), { code: 'INTERRUPTED' });
});
