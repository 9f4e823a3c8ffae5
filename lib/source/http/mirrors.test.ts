import t, { type Test } from 'tap';
import { PinfsError } from '../../format/errors.js';
import { startBadServer, type BadServer } from '../../testing/servers/bad-server.js';
import { startForwardProxy, type ForwardProxy } from '../../testing/servers/forward-proxy.js';
import { steeredDemand } from '../../testing/waiting.js';
import { startFullListener } from '../../testing/servers/full-listener.js';
import { rejectsWith } from '../../testing/suites/source-conformance.js';
import { parseProxies } from '../failover/proxies.js';
import type { Served, Source } from '../source.js';
import { httpSource, type HttpOptions } from './http.js';

const body = Buffer.from('what is published '.repeat(100));
const files = new Map([
  ['file', body],
  ['.cvmfspublished', Buffer.from('manifest')],
]);
const quick: HttpOptions = {
  backoff: 1,
  backoffMax: 2,
  headersTimeout: 150,
  lowSpeedTime: 150,
  lowSpeedBytes: 1000,
  proxied: { headersTimeout: 150, lowSpeedTime: 150, lowSpeedBytes: 1000 },
};

interface Scene {
  readonly servers: readonly BadServer[];
  readonly proxies: readonly ForwardProxy[];
  readonly source: Source;
  readonly told: PinfsError[];
}

/** @param list of proxies, by their numbers: `0|1;DIRECT` */
async function setUp(t: Test, list: string | undefined, options: HttpOptions = {}): Promise<Scene> {
  const servers = [await startBadServer(files), await startBadServer(files)];
  const proxies = [await startForwardProxy(), await startForwardProxy()];
  const told: PinfsError[] = [];
  const named = list?.replace(/\d/g, (number) => proxies[Number(number)]?.url ?? '');
  const source = httpSource(servers[0]?.url ?? '', {
    ...quick,
    mirrors: servers.slice(1).map(({ url }) => url),
    ...(named === undefined ? {} : { hopsFor: () => parseProxies(named) }),
    tell: (event) => told.push(event),
    ...options,
  });
  t.teardown(async () => {
    await source.close();
    for (const one of [...servers, ...proxies]) await one.close();
  });
  return { servers, proxies, source, told };
}

async function isRight(t: Test, source: Source, message: string): Promise<void> {
  t.ok((await source.get('file', body.length)).equals(body), message);
}

void t.test('a mirror that fails is asked after the others', async (t) => {
  const faults = ['error', 'hang', 'hang-in-body', 'truncated', 'reset', 'redirect-loop'] as const;
  for (const fault of faults) {
    const { servers, source, told } = await setUp(t, undefined);
    const [first, second] = servers;
    first?.behave(/./, fault);
    await isRight(t, source, fault);
    t.equal(second?.count('file'), 1);
    const before = first?.count('file');
    await isRight(t, source, `${fault}: the next one`);
    t.equal(first?.count('file'), before, 'it is not asked again');
    t.match(told, [{ code: 'SOURCE_CHANGED', message: second?.url }]);
    t.equal(source.traffic.changes, 1);
    t.equal(source.traffic.way, second?.url);
  }
});

void t.test('what one mirror lacks another has; what all lack is missing', async (t) => {
  const { servers, source, told } = await setUp(t, undefined);
  servers[0]?.behave('file', 'missing');
  await isRight(t, source, 'a mirror that lags behind');
  t.equal(servers[0]?.count('file'), 1);
  t.same(told, [], 'that is no fault');
  servers[1]?.behave('file', 'missing');
  await rejectsWith(t, source.get('file', 9999), 'OBJECT_MISSING', 'everywhere');
  await servers[1]?.close();
  await rejectsWith(t, source.get('file', 9999), 'OBJECT_MISSING', 'as far as anybody answers');
});

void t.test('requests go through the proxy, and nobody is asked directly', async (t) => {
  const { servers, proxies, source } = await setUp(t, '0;1');
  await isRight(t, source, 'through the first');
  t.same(proxies[0]?.requests, [`${servers[0]?.url ?? ''}/file`]);
  t.equal(proxies[0]?.headers.host, `127.0.0.1:${servers[0]?.port ?? 0}`);
  await proxies[0]?.close();
  await isRight(t, source, 'through the second');
  await proxies[1]?.close();
  const message = new RegExp(`through ${proxies[0]?.url ?? ''}.*refused`);
  await t.rejects(source.get('file', 9999), {
    code: 'SOURCE_UNREACHABLE',
    message,
    advice: /probe/,
  });
  t.equal(servers[0]?.count('file'), 2, 'never past them');
  t.match(source.traffic.way, / through /);
});

void t.test('DIRECT where it is named', async (t) => {
  const { proxies, servers, source } = await setUp(t, '0|1;DIRECT');
  for (const proxy of proxies) await proxy.close();
  await isRight(t, source, 'directly');
  t.equal(servers[0]?.count('file'), 1);
});

void t.test('a proxy that misbehaves is asked after the others', async (t) => {
  const faults = ['freeze', 'reset', 'truncated', 'squid-error', { status: 403 }] as const;
  for (const fault of faults) {
    const { proxies, source } = await setUp(t, '0;1');
    const [first, second] = proxies;
    const name = JSON.stringify(fault);
    first?.behave(fault);
    await isRight(t, source, name);
    const before = first?.requests.filter((url) => url.endsWith('/file')).length;
    await isRight(t, source, `${name}: the next one`);
    const after = first?.requests.filter((url) => url.endsWith('/file')).length;
    t.equal(after, before, 'it is not asked again');
    t.match(source.traffic.way, new RegExp(`through ${second?.url ?? ''}$`));
  }
});

void t.test('of a time-out nobody knows whose fault it was, until somebody answers', async (t) => {
  const { servers, proxies, source } = await setUp(t, '0;1');
  servers[0]?.behave(/./, 'hang');
  await isRight(t, source, 'through the other, from the other');
  for (let i = 0; i < 100 && !source.traffic.way?.endsWith(proxies[0]?.url ?? '-'); i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(source.traffic.way, `${servers[1]?.url ?? ''} through ${proxies[0]?.url ?? ''}`);
});

void t.test(
  'what is damaged is asked for afresh, then by another proxy, then of another mirror',
  async (t) => {
    const { servers, proxies, source, told } = await setUp(t, '0|1');
    for (const server of servers.slice(0, 1)) server.behave('file', 'bit-flipped');
    const served: Served[] = [];
    const damaged = new PinfsError('OBJECT_HASH_MISMATCH', 'not it');
    const others: number[] = [];
    for (let right = false; !right;) {
      right = (await source.get('file', body.length, { served })).equals(body);
      others.push(source.judged?.(served, right ? undefined : damaged) ?? 0);
    }
    t.same(
      served.map(({ mirror, fresh }) => [mirror, fresh]),
      [
        [0, false],
        [0, true],
        [0, true],
        [1, true],
      ],
    );
    t.equal(served[0]?.hop, served[1]?.hop);
    t.not(served[1]?.hop, served[2]?.hop);
    t.same(others, [3, 3, 2, 0]);
    t.equal(
      Object.values(source.traffic.damaged ?? {}).reduce((sum, one) => sum + one, 0),
      3,
    );
    t.ok(
      Object.keys(source.traffic.damaged ?? {}).every((name) =>
        name.startsWith(servers[0]?.url ?? '-'),
      ),
    );
    t.match(told.at(-1), { code: 'SOURCE_CHANGED', message: servers[1]?.url });
    t.equal(proxies.length, 2);
  },
);

void t.test('a busy mirror is left alone, and the next one asked', async (t) => {
  const { servers, source } = await setUp(t, undefined);
  servers[0]?.behave('file', { status: 503, headers: { 'Retry-After': '30' } });
  const began = performance.now();
  await isRight(t, source, 'at once');
  t.ok(performance.now() - began < 5000);
});

void t.test('one time-out is enough for all who wait for the same', async (t) => {
  const { servers, source } = await setUp(t, undefined, { headersTimeout: 2000 });
  servers[0]?.behave(/./, 'hang');
  const began = performance.now();
  const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
  const first = isRight(t, source, 'the first');
  await pause(800);
  const second = isRight(t, source, 'who came later');
  await first;
  await second;
  const took = performance.now() - began;
  // 2800 ms, if each waited for itself.
  t.ok(took < 2750, `${Math.round(took)} ms`);
  t.equal(servers[0]?.count('file'), 2);
});

void t.test(
  'where all fail that is told once, and it goes on as soon as one is back',
  async (t) => {
    const { servers, source, told } = await setUp(t, undefined, { backoff: 20, backoffMax: 40 });
    for (const server of servers) server.behave(/./, 'error', 10);
    const demand = steeredDemand();
    t.ok((await source.get('file', body.length, { demand })).equals(body));
    t.equal(
      servers.reduce((sum, server) => sum + server.count('file'), 0),
      21,
      'each in its turn',
    );
    t.ok(told.length <= 3, told.map(({ message }) => message).join('\n'));
    t.match(demand.troubles.at(-1)?.message, /HTTP 500.*before that/);
  },
);

void t.test('what nobody waits for yet takes another way as well', async (t) => {
  const { servers, source } = await setUp(t, undefined);
  servers[0]?.behave(/./, { status: 403 });
  const demand = steeredDemand('ahead');
  t.ok((await source.get('file', body.length, { demand })).equals(body));
});

void t.test('a proxy that takes no connection is given up, and the next one asked', async (t) => {
  const { port, close } = await startFullListener();
  t.teardown(close);
  const next = await startForwardProxy();
  const server = await startBadServer(files);
  t.teardown(() => server.close());
  t.teardown(() => next.close());
  for (const url of [server.url, 'https://127.0.0.1:1/x']) {
    const source = httpSource(url, {
      ...quick,
      proxied: { connectTimeout: 200, headersTimeout: 10_000, lowSpeedTime: 10_000 },
      hopsFor: () => parseProxies(`127.0.0.1:${port};${next.url}`),
      retries: 0,
    });
    t.teardown(() => source.close());
    const began = performance.now();
    const answer = await source.get('file', body.length).then(
      (bytes) => (bytes.equals(body) ? 'right' : 'wrong'),
      (thrown: unknown) => String(thrown),
    );
    t.match(answer, url === server.url ? 'right' : `through ${next.url}`);
    t.ok(performance.now() - began < 8000, 'within the time-out for connections');
  }
});

void t.test('credentials of a proxy go to it alone', async (t) => {
  const { servers, proxies } = await setUp(t, undefined);
  const list = proxies[0]?.url.replace('//', '//me:secret@') ?? '';
  const source = httpSource(servers[0]?.url ?? '', { hopsFor: () => parseProxies(list) });
  t.teardown(() => source.close());
  await isRight(t, source, 'with them');
  const expected = `Basic ${Buffer.from('me:secret').toString('base64')}`;
  t.equal(proxies[0]?.headers['proxy-authorization'], expected);
  t.notMatch(source.traffic.way, /secret/);
  proxies[0]?.behave({ status: 407 });
  await t.rejects(source.get('file', 9999), {
    code: 'SOURCE_STATUS',
    message: /name and a password/,
  });
});

void t.test(
  'each mirror can be asked alone, and the one that answers sooner goes first',
  async (t) => {
    const { servers, source, told } = await setUp(t, undefined, { headersTimeout: 5000 });
    servers[0]?.behave('file', { after: new Promise((resolve) => setTimeout(resolve, 200)) });
    const mirrors = source.mirrors ?? [];
    t.equal(mirrors.length, 2);
    for (const [index, mirror] of mirrors.entries()) {
      t.equal(mirror.label, servers[index]?.url);
      await isRight(t, mirror, mirror.label);
      t.equal(servers[index]?.count('file'), 1);
    }
    t.match(told, [{ code: 'SOURCE_CHANGED', message: /sooner/ }]);
    t.equal(source.traffic.way, servers[1]?.url);
  },
);
