import t, { type Test } from 'tap';
import { startBadServer } from '../../testing/servers/bad-server.js';
import type { OnceOutcome, Source } from '../source.js';
import { httpSource, type HttpOptions } from './http.js';

const body = Buffer.from('what is published '.repeat(100));

async function setUp(t: Test, options: HttpOptions = {}) {
  const server = await startBadServer(new Map([['file', body]]), 'made.example.org');
  const source = httpSource(server.url, { backoff: 1, backoffMax: 2, retries: 2, ...options });
  t.teardown(async () => {
    await source.close();
    await server.close();
  });
  return { server, source };
}

interface Heard {
  readonly outcome: OnceOutcome;
  readonly bytes: number;
}

/** @returns what became of one request; undefined: there was none. */
async function askOnce(source: Source, limit = 10_000): Promise<Heard | undefined> {
  let bytes = 0;
  return await new Promise((resolve) => {
    const once = source.once?.('file', limit, {
      came: (more) => (bytes += more),
      ended: (outcome) => resolve({ outcome, bytes }),
    });
    if (once === undefined) resolve(undefined);
  });
}

void t.test('one request brings a file, once it is known who is asked', async (t) => {
  const { server, source } = await setUp(t);
  t.equal(await askOnce(source), undefined, 'the first one is for `get`');
  await source.get('file', 10_000);
  const heard = await askOnce(source);
  t.ok(heard?.outcome.bytes?.equals(body));
  t.equal(heard?.bytes, body.length);
  t.same(heard?.outcome.bytes && heard.outcome.served, { mirror: 0, hop: 0, fresh: false });
  t.equal(server.requests.length, 2);
  t.equal(source.traffic.requests, 2);
});

void t.test('what fails is not asked again, and `get` goes on from there', async (t) => {
  const { server, source } = await setUp(t);
  await source.get('file', 10_000);
  for (const [behaviour, code, requests] of [
    ['missing', 'OBJECT_MISSING', 1],
    [{ status: 403 }, 'SOURCE_STATUS', 1],
    [{ status: 500 }, 'SOURCE_STATUS', 3],
  ] as const) {
    server.behave('file', behaviour);
    const before = server.requests.length;
    const heard = await askOnce(source);
    const tried = heard?.outcome.tried;
    t.equal(tried?.answer.error.code, code);
    t.equal(server.requests.length, before + 1, 'one request');
    await t.rejects(source.get('file', 10_000, { tried }), { code });
    t.equal(server.requests.length, before + requests, 'as many as `get` alone makes');
  }
});

void t.test('more than is wanted is not read', async (t) => {
  const { source } = await setUp(t);
  await source.get('file', 10_000);
  const heard = await askOnce(source, 100);
  t.equal(heard?.outcome.tried?.answer.error.code, 'OBJECT_TOO_LARGE');
});

void t.test(
  'where redirections are followed, and of one server alone, `get` is asked',
  async (t) => {
    const { source } = await setUp(t, { followRedirects: true });
    await source.get('file', 10_000);
    t.equal(await askOnce(source), undefined);
    const { server, source: two } = await setUp(t);
    await two.get('file', 10_000);
    server.behave('file', 'redirect-loop');
    t.same((await askOnce(two))?.outcome, {}, 'what it leads to is the affair of `get`');
  },
);

void t.test('a request ends when it is cancelled, and with its source', async (t) => {
  const { server, source } = await setUp(t);
  await source.get('file', 10_000);
  server.behave('file', 'hang');
  const ended: (string | undefined)[] = [];
  const ask = () =>
    source.once?.('file', 10_000, {
      came: () => undefined,
      ended: ({ tried }) => ended.push(tried?.answer.error.message),
    });
  ask()?.cancel();
  t.same(ended, ['nobody waits for it any more']);
  ask();
  await source.close();
  t.same(ended.slice(1), ['the source was closed']);
  t.equal(ask(), undefined);
});
