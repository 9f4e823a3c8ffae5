import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import type { PinfsError } from '../../format/errors.js';
import { genuine, needsGenuine } from '../../testing/genuine.js';
import { startBadServer, type BadServer } from '../../testing/servers/bad-server.js';
import { startForwardProxy, type ForwardProxy } from '../../testing/servers/forward-proxy.js';
import { fallbackCount, parseProxies } from '../failover/proxies.js';
import type { ServerMemory } from '../order/server-order.js';
import type { Source } from '../source.js';
import { httpSource, type HttpOptions } from './http.js';

const body = Buffer.from('what is published '.repeat(100));
const isGeo = /^api\/v1\.0\/geo\//;
const quick: HttpOptions = {
  backoff: 1,
  backoffMax: 2,
  headersTimeout: 200,
  lowSpeedTime: 200,
  lowSpeedBytes: 1000,
  proxied: { headersTimeout: 200, lowSpeedTime: 200, lowSpeedBytes: 1000 },
};

interface Scene {
  readonly servers: readonly BadServer[];
  readonly source: Source;
  readonly told: PinfsError[];
}

/** Three servers that give this answer to the Geo API. */
async function setUp(
  t: Test,
  answer: Buffer | undefined,
  options: HttpOptions = {},
): Promise<Scene> {
  const contents = (path: string): Buffer | undefined =>
    isGeo.test(path) ? answer : path === 'file' ? body : Buffer.from('manifest');
  const servers: BadServer[] = [];
  for (let i = 0; i < 3; i++) servers.push(await startBadServer(contents));
  const told: PinfsError[] = [];
  const [first, ...mirrors] = servers.map(({ url }) => url);
  const source = httpSource(first ?? '', {
    ...quick,
    mirrors,
    geo: true,
    tell: (event) => told.push(event),
    ...options,
  });
  t.teardown(async () => {
    await source.close();
    for (const server of servers) await server.close();
  });
  return { servers, source, told };
}

/** Who was asked for the file, by number. */
const whoGave = async ({ servers, source }: Scene): Promise<number> => {
  for (const server of servers) server.reset();
  await source.get('file', body.length);
  return servers.findIndex((server) => server.count('file') === 1);
};

void t.test('servers go in the order that a genuine answer names', needsGenuine, async (t) => {
  const hosts =
    'cvmfs-s1fnal.opensciencegrid.org,cvmfs-stratum-one.cern.ch,cvmfs-stratum-one.ihep.ac.cn';
  const answers = [
    ['stratum1-au.tld/api/v1.0', [2, 1, 0]],
    ['stratum1-no.tld/cvmfs/data/api/v1.0', [1, 0, 2]],
    ['stratum1-us-east-unsynced.tld/cvmfs/test/api/v1.0', [0, 1, 2]],
  ] as const;
  for (const [place, order] of answers) {
    const answer = readFileSync(genuine('production', 'server', place, 'geo/x', hosts));
    const scene = await setUp(t, answer);
    const { servers, source } = scene;
    const urls = order.map((server) => servers[server]?.url);
    t.match(await source.arranged?.(), { by: 'geo', servers: urls, leftOut: [] }, place);
    const asked = servers.flatMap(({ requests }) => requests.map(({ path }) => path));
    t.same(asked, ['api/v1.0/geo/x/127.0.0.1,127.0.0.1,127.0.0.1'], 'one is asked, once');
    t.equal(await whoGave(scene), order[0]);
    t.same(
      source.mirrors?.map(({ label }) => label),
      urls,
    );
    servers[order[0]]?.behave(/./, 'reset');
    await source.get('file', body.length);
    t.ok(source.traffic.way === urls[1], 'the next one is the next nearest');
  }
});

void t.test('no more are used than are to be, and those are the nearest', async (t) => {
  const scene = await setUp(t, Buffer.from('3,1,2\n'), { maxServers: 2 });
  const { source, servers } = scene;
  const [first, second, third] = servers;
  t.match(await source.arranged?.(), {
    by: 'geo',
    servers: [third?.url, first?.url],
    leftOut: [second?.url],
  });
  t.equal(source.mirrors?.length, 2);
  t.equal(source.ways?.length, 2);
  for (const server of [first, third]) server?.behave('file', 'missing');
  await t.rejects(source.get('file', body.length), { code: 'OBJECT_MISSING' });
  t.equal(second?.count('file'), 0);
});

void t.test('an answer that is old is asked for again, and nobody waits for it', async (t) => {
  let answer = '3,1,2\n';
  const servers: BadServer[] = [];
  const contents = (path: string): Buffer =>
    isGeo.test(path) ? Buffer.from(answer) : path === 'file' ? body : Buffer.from('manifest');
  for (let i = 0; i < 3; i++) servers.push(await startBadServer(contents));
  const [first, ...mirrors] = servers.map(({ url }) => url);
  const source = httpSource(first ?? '', { ...quick, mirrors, geo: true, geoAge: 0 });
  t.teardown(async () => {
    await source.close();
    for (const server of servers) await server.close();
  });
  const scene = { servers, source, told: [] };
  t.equal(await whoGave(scene), 2);
  answer = '2,1,3\n';
  for (let tries = 0; tries < 100 && (await whoGave(scene)) !== 1; tries++);
  t.equal(await whoGave(scene), 1);
  // What is no answer leaves the order as it is.
  for (const server of servers) server.behave(isGeo, 'missing');
  for (let tries = 0; tries < 5; tries++) t.equal(await whoGave(scene), 1);
});

void t.test('hostile and missing answers change nothing', async (t) => {
  const hostile = ['', '1,1,2', '0,1,2', '1,2', '1,2,x', '<html>', '9'.repeat(5000)];
  for (const text of hostile) {
    const scene = await setUp(t, Buffer.from(text));
    const order = await scene.source.arranged?.();
    t.match(order, { by: 'given', why: /Geo API was of no help/ }, text.slice(0, 20));
    t.equal(await whoGave(scene), 0);
    t.same(scene.told, [], 'no server is at fault for that');
  }
  for (const behaviour of [
    { status: 400 },
    { status: 500 },
    'missing',
    'html',
    'redirect-loop',
    'garbage',
  ] as const) {
    const scene = await setUp(t, Buffer.from('3,2,1\n'));
    for (const server of scene.servers) server.behave(isGeo, behaviour);
    t.match(await scene.source.arranged?.(), { by: 'given' }, JSON.stringify(behaviour));
    t.equal(scene.servers.flatMap(({ requests }) => requests).length, 3, 'three are asked');
    t.equal(await whoGave(scene), 0);
  }
});

void t.test('who does not answer costs no more than his time-out, once', async (t) => {
  const scene = await setUp(t, Buffer.from('3,2,1\n'), { deadline: 9000 });
  for (const server of scene.servers) server.behave(/./, 'hang');
  const [, , third] = scene.servers;
  third?.reset();
  const began = performance.now();
  await scene.source.get('file', body.length);
  t.ok(performance.now() - began < 2500);
  t.match(await scene.source.arranged?.(), { by: 'geo' });
  const silent = await setUp(t, undefined, { deadline: 900, headersTimeout: 60_000 });
  for (const server of silent.servers) server.behave(isGeo, 'hang');
  const asked = performance.now();
  await silent.source.get('file', body.length);
  t.ok(performance.now() - asked < 5000, 'nobody waits longer than a part of his deadline');
  const stop = new AbortController();
  const aborted = await setUp(t, undefined, { headersTimeout: 60_000 });
  for (const server of aborted.servers) server.behave(isGeo, 'hang');
  const waiting = aborted.source.get('file', body.length, { signal: stop.signal });
  stop.abort();
  await t.rejects(waiting, { code: 'INTERRUPTED' });
});

void t.test(
  'what stands for who asks: the proxy, a template, or a word of this machine',
  async (t) => {
    const proxies: ForwardProxy[] = [];
    for (let i = 0; i < 4; i++) proxies.push(await startForwardProxy());
    t.teardown(async () => {
      for (const proxy of proxies) await proxy.close();
    });
    const [a = '', b = '', c = '', d = ''] = proxies.map(({ url }) => url);
    const geoOf = (): string | undefined =>
      proxies.flatMap(({ requests }) => requests).find((url) => url.includes('/geo/'));
    const through = (proxy: string, fallback: string): HttpOptions => ({
      hopsFor: () => parseProxies(proxy, { fallback }),
      fallbackFrom: parseProxies(proxy, { fallback }).length - fallbackCount(fallback),
    });
    const { source } = await setUp(
      t,
      Buffer.from('1,2,3,5,4\n'),
      through(`${a};${b}`, `${c};${d}`),
    );
    t.match(await source.arranged?.(), { by: 'geo' });
    const names = '127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1,127.0.0.1';
    t.match(geoOf(), new RegExp(`/geo/127.0.0.1/${names}$`));
    t.same(
      source.ways?.slice(0, 4).map(({ label }) => label.split(' through ')[1]),
      [a, b, d, c],
      'fallback proxies are ordered as well',
    );
    for (const { requests } of proxies) requests.length = 0;
    const only = await setUp(t, Buffer.from('1,2,3,6,5,4\n'), {
      ...through('DIRECT', `${c};${d}`),
      memory: remembering(),
    });
    t.match(await only.source.arranged?.(), { by: 'geo' });
    t.match(
      geoOf(),
      /\/geo\/own-word\/127.0.0.1,127.0.0.1,127.0.0.1,\+PXYSEP\+,127.0.0.1,127.0.0.1$/,
    );
    const template = await setUp(t, Buffer.from('2,1,3'), { proxyTemplate: 'near.example.org' });
    await template.source.arranged?.();
    const asked = template.servers.flatMap(({ requests }) => requests.map(({ path }) => path));
    t.match(asked, [/\/geo\/near.example.org\//]);
  },
);

function remembering(
  times: Record<string, number> = {},
  answers: Record<string, string> = {},
): ServerMemory {
  return {
    uuid: 'own-word',
    time: (server) => times[server],
    geoAnswer: (question) => answers[question],
    noteTime: (server, milliseconds) => void (times[server] = milliseconds),
    noteGeoAnswer: (question, answer) => void (answers[question] = answer),
    flush: () => undefined,
  };
}

void t.test('an answer and times are remembered', async (t) => {
  const answers = {};
  const memory = remembering({}, answers);
  const first = await setUp(t, Buffer.from('2,1,3'), { memory });
  await first.source.arranged?.();
  const again = await setUp(t, Buffer.from('3,1,2'), { memory });
  t.match(await again.source.arranged?.(), { by: 'geo', why: /before/ });
  t.equal(again.servers.flatMap(({ requests }) => requests).length, 0, 'nobody is asked again');
  t.equal(await whoGave(again), 1);
  for (const known of Object.keys(answers)) Object.assign(answers, { [known]: 'damaged' });
  const damaged = await setUp(t, Buffer.from('3,1,2'), { memory });
  await damaged.source.arranged?.();
  t.equal(await whoGave(damaged), 2);
});

void t.test(
  'with no Geo API: by the time in which each answers, also before this mount',
  async (t) => {
    const times: Record<string, number> = {};
    const options = { geo: false, memory: remembering(times) };
    const scene = await setUp(t, undefined, options);
    const [slow, middle, near] = scene.servers.map(({ url }) => url);
    Object.assign(times, { [slow ?? '']: 400, [middle ?? '']: 150, [near ?? '']: 10 });
    t.match(await scene.source.arranged?.(), { by: 'times', servers: [near, middle, slow] });
    t.equal(await whoGave(scene), 2);
    const measured = await setUp(t, undefined, { ...options, maxServers: 1 });
    const [first, second] = measured.servers;
    for (const server of [first, second]) server?.behave(/./, { rate: 1e6 });
    first?.behave('.cvmfspublished', 'hang');
    t.match(await measured.source.arranged?.(), { leftOut: { length: 2 } });
    t.ok(measured.servers.every((server) => server.count('.cvmfspublished') === 1));
  },
);
