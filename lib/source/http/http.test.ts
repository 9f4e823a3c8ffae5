import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Behaviour } from '../../testing/servers/bad-answers.js';
import { startBadServer, type BadServer } from '../../testing/servers/bad-server.js';
import { startFullListener } from '../../testing/servers/full-listener.js';
import { checkout } from '../../testing/genuine.js';
import { testCertificate } from '../../publish/keys.js';
import { steeredDemand } from '../../testing/waiting.js';
import { conforms, rejectsWith } from '../../testing/suites/source-conformance.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { httpSource, type HttpOptions } from './http.js';
import type { Source } from '../source.js';

const name = 'made.example.org';
const body = Buffer.from('what is published '.repeat(100));
// Short enough for a test that waits for them to run out, and for nothing else.
const hasty: HttpOptions = { headersTimeout: 100, lowSpeedTime: 100, lowSpeedBytes: 1000 };
const quick: HttpOptions = { backoff: 1, backoffMax: 2 };

async function setUp(
  t: Test,
  options: HttpOptions = quick,
  files: ReadonlyMap<string, Buffer> = new Map([['file', body]]),
): Promise<{ server: BadServer; source: Source }> {
  const server = await startBadServer(files, name);
  const source = httpSource(server.url, options);
  t.teardown(async () => {
    await source.close();
    await server.close();
  });
  return { server, source };
}

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

void t.test('an HTTP server is a source', (t) => {
  conforms(t, async (t, files) => {
    const { server, source } = await setUp(t, quick, files);
    t.equal(source.label, server.url);
    return source;
  });
  t.end();
});

void t.test('requests are what servers of CernVM-FS expect', async (t) => {
  const { server, source } = await setUp(t);
  await source.get('file', 10_000);
  await source.get('file', 10_000, { fresh: true });
  const [plain, fresh] = server.requests.map(({ headers }) => headers);
  const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    version: string;
  };
  t.equal(plain?.['user-agent'], `cvmfs pinfs/${version}`);
  t.equal(plain?.['accept-encoding'], 'identity');
  for (const absent of ['range', 'authorization', 'cache-control', 'pragma']) {
    t.notOk(absent in (plain ?? {}), absent);
  }
  t.equal(fresh?.['cache-control'], 'no-cache');
  t.equal(fresh?.pragma, 'no-cache');
});

void t.test('what may pass is asked for again, what may not is not', async (t) => {
  const { server, source } = await setUp(t, { ...quick, retries: 2 });
  const status = (status: number): Behaviour => ({ status });
  const cases: [Behaviour, ErrorCode, number][] = [
    ['missing', 'OBJECT_MISSING', 1],
    [status(410), 'OBJECT_MISSING', 1],
    [status(403), 'SOURCE_STATUS', 1],
    [status(400), 'SOURCE_STATUS', 1],
    [status(204), 'SOURCE_STATUS', 1],
    [status(206), 'SOURCE_STATUS', 1],
    [status(416), 'SOURCE_STATUS', 1],
    [status(304), 'SOURCE_STATUS', 1],
    ['error', 'SOURCE_STATUS', 3],
    [status(503), 'SOURCE_STATUS', 3],
    [status(429), 'SOURCE_STATUS', 3],
    ['truncated', 'SOURCE_UNREACHABLE', 3],
    ['not-http', 'SOURCE_UNREACHABLE', 3],
    ['endless-headers', 'SOURCE_UNREACHABLE', 3],
    ['reset', 'SOURCE_UNREACHABLE', 5],
    ['encoded', 'SOURCE_ENCODING', 1],
    ['redirect-loop', 'SOURCE_REDIRECT', 1],
    ['garbage', 'OBJECT_TOO_LARGE', 1],
    ['length-huge', 'OBJECT_TOO_LARGE', 1],
    ['endless', 'OBJECT_TOO_LARGE', 1],
  ];
  for (const [behaviour, code, requests] of cases) {
    server.reset();
    server.behave('file', behaviour);
    const label = `${JSON.stringify(behaviour)}: ${code}`;
    await rejectsWith(t, source.get('file', body.length), code, label);
    t.equal(server.count('file'), requests, `after ${requests} requests`);
  }
  server.reset();
  t.ok((await source.get('file', body.length)).equals(body), 'and it lives on');
});

void t.test('one failure is mended by asking again', async (t) => {
  const { server, source } = await setUp(t, { ...quick, ...hasty, retries: 1 });
  const passing = ['error', 'truncated', 'not-http', 'hang', 'hang-in-body', 'drip'] as const;
  for (const behaviour of passing) {
    server.reset();
    server.behave('file', behaviour, 1);
    t.ok((await source.get('file', body.length)).equals(body), behaviour);
    t.equal(server.count('file'), 2);
  }
  t.equal(source.traffic.failures, passing.length);
});

void t.test('a connection that the server closed is replaced at once', async (t) => {
  const { server, source } = await setUp(t, { ...quick, retries: 0 });
  server.behave('file', 'reset', 2);
  t.ok((await source.get('file', body.length)).equals(body), 'before the answer');
  for (let turn = 0; turn < 5; turn++) {
    server.behave('file', 'close-after', 1);
    t.ok((await source.get('file', body.length)).equals(body), 'behind the answer');
  }
});

void t.test('where somebody waits it is asked for until he goes', async (t) => {
  const { server, source } = await setUp(t, { backoff: 20, backoffMax: 40 });
  const demand = steeredDemand();
  server.behave('file', 'error', 8);
  t.ok((await source.get('file', body.length, { demand })).equals(body), 'after many tries');
  t.equal(server.count('file'), 9);
  t.equal(demand.troubles.length, 8);
  t.match(demand.troubles[0], { code: 'SOURCE_STATUS', passing: true });
  t.equal(demand.received, body.length);
  server.reset();
  server.behave('file', 'reset');
  const asked = source.get('file', body.length, { demand });
  while (server.requests.length < 4) await new Promise(setImmediate);
  demand.urge('ahead');
  await rejectsWith(t, asked, 'SOURCE_UNREACHABLE', 'nobody waits any more');
  const { length } = server.requests;
  await rejectsWith(t, source.get('file', body.length, { demand }), 'SOURCE_UNREACHABLE');
  t.ok(server.requests.length <= length + 3, 'what nobody waits for is asked for once');
});

void t.test('who waits for a while only is told soon', async (t) => {
  const { server, source } = await setUp(t, { backoff: 1, backoffMax: 2 });
  const demand = { ...steeredDemand(), persistent: false };
  server.behave('file', 'error');
  await rejectsWith(t, source.get('file', body.length, { demand }), 'SOURCE_STATUS');
  await rejectsWith(t, source.get('file', body.length), 'SOURCE_STATUS');
  t.equal(server.count('file'), 10, 'four times more');
});

void t.test('a server says when to come back, and is heard within bounds', async (t) => {
  const { server, source } = await setUp(t, { backoff: 1, backoffMax: 2 });
  const busy = (after: string): Behaviour => ({ status: 429, headers: { 'Retry-After': after } });
  server.behave('file', busy('1'), 1);
  const began = performance.now();
  t.ok((await source.get('file', body.length)).equals(body));
  t.ok(performance.now() - began >= 990);
  server.behave('file', busy('Thu, 01 Jan 1970 00:00:00 GMT'), 1);
  server.behave('file', busy('soon'), 1);
  t.ok((await source.get('file', body.length)).equals(body));
});

void t.test('bytes that came before are no progress', async (t) => {
  const { server, source } = await setUp(t, quick);
  const demand = steeredDemand();
  server.behave('file', 'truncated', 5);
  t.ok((await source.get('file', body.length, { demand })).equals(body));
  t.equal(demand.received, body.length, 'each is counted once');
});

void t.test('what is held back stays on the line, and costs no time', async (t) => {
  const large = Buffer.alloc(24 * 1024 * 1024, 'large');
  const files = new Map([
    ['file', body],
    ['large', large],
  ]);
  const { source } = await setUp(t, { ...quick, ...hasty, retries: 0, deadline: 200 }, files);
  const demand = steeredDemand('ahead');
  const came = demand.came.bind(demand);
  let held = 0;
  demand.came = (bytes) => {
    came(bytes);
    if (demand.received > 1e5 && held++ === 0) demand.urge('held');
  };
  const fetching = source.get('large', large.length, { demand });
  while (demand.urgency !== 'held') await new Promise(setImmediate);
  const later = steeredDemand('held');
  const waiting = source.get('file', body.length, { demand: later });
  await new Promise((resolve) => setTimeout(resolve, 600));
  t.ok(demand.received < large.length, 'it is not read to its end');
  t.equal(source.traffic.requests, 1, 'and what is held from the begin is not asked for');
  t.ok((await source.get('file', body.length)).equals(body), 'others go before');
  demand.urge('ahead');
  later.urge('wanted');
  t.ok((await fetching).equals(large), 'then it goes on');
  t.ok((await waiting).equals(body));
});

void t.test('slow servers are given up', async (t) => {
  const { server, source } = await setUp(t, { ...quick, ...hasty, retries: 1 });
  for (const behaviour of ['hang', 'hang-in-body', 'drip'] as const) {
    server.reset();
    server.behave('file', behaviour);
    await rejectsWith(t, source.get('file', body.length), 'SOURCE_TIMEOUT', behaviour);
    t.equal(server.count('file'), 2);
  }
});

void t.test('a server that drips just fast enough is given up in the end', async (t) => {
  const options = { ...quick, lowSpeedTime: 50, lowSpeedBytes: 1, deadline: 300 };
  const { server, source } = await setUp(t, options);
  server.behave('file', 'drip');
  await rejectsWith(t, source.get('file', body.length), 'SOURCE_TIMEOUT');
  t.equal(server.count('file'), 1);
});

void t.test('waiting ends with the signal, and with the source', async (t) => {
  const { server, source } = await setUp(t, { ...quick, connections: 1 });
  server.behave('hang', 'hang');
  server.behave('busy', 'error');
  const hanging = new AbortController();
  const queued = new AbortController();
  const first = source.get('hang', 10, { signal: hanging.signal });
  const second = source.get('file', body.length, { signal: queued.signal });
  queued.abort();
  await rejectsWith(t, second, 'INTERRUPTED', 'waiting for a connection');
  hanging.abort();
  await rejectsWith(t, first, 'INTERRUPTED', 'waiting for the answer');
  t.ok((await source.get('file', body.length)).equals(body), 'the connection is free again');
  t.equal(server.count('file'), 1, 'and nobody asked for what was not wanted any more');
  const last = source.get('hang', 10);
  const rejected = rejectsWith(t, last, 'INTERRUPTED', 'closed');
  await source.close();
  await rejected;
});

void t.test('a pause before asking again ends with the signal', async (t) => {
  const { server, source } = await setUp(t, { backoff: 3_600_000, backoffMax: 3_600_000 });
  const controller = new AbortController();
  server.behave('file', 'error');
  const waiting = source.get('file', 10, { signal: controller.signal });
  while (source.traffic.failures === 0) await new Promise(setImmediate);
  controller.abort();
  await rejectsWith(t, waiting, 'INTERRUPTED');
});

void t.test('answers that end early or late are cut where they should', async (t) => {
  const { server, source } = await setUp(t);
  server.behave('file', 'chunked', 1);
  t.ok((await source.get('file', body.length)).equals(body), 'no length announced');
  server.behave('file', 'chunked', 1);
  await rejectsWith(t, source.get('file', body.length - 1), 'OBJECT_TOO_LARGE');
  server.behave('file', 'length-too-small', 1);
  const short = await source.get('file', body.length);
  t.equal(short.length, body.length / 2, 'the announced length counts');
  t.ok((await source.get('file', body.length)).equals(body), 'the rest spoils no other answer');
});

void t.test('ranges hold when the server does not', async (t) => {
  const { server, source } = await setUp(t);
  const range = { offset: 7, length: 20 };
  const part = body.subarray(7, 27);
  server.behave('file', 'ignore-range', 1);
  t.ok((await source.get('file', 20, { range })).equals(part), 'all of it: cut');
  server.behave('file', 'endless', 1);
  t.ok((await source.get('file', 20, { range })).equals(Buffer.alloc(20)), 'no more is read');
  server.behave('file', 'wrong-range', 1);
  await rejectsWith(t, source.get('file', 20, { range }), 'SOURCE_STATUS');
  server.behave('file', { status: 206, headers: { 'Content-Range': 'bytes 7-26/1800' } }, 1);
  await rejectsWith(t, source.get('file', 20, { range }), 'OBJECT_SIZE_MISMATCH');
  server.behave('file', { status: 200 }, 1);
  await rejectsWith(t, source.get('file', 20, { range }), 'OBJECT_SIZE_MISMATCH');
  t.equal(server.requests[0]?.headers.range, 'bytes=7-26');
});

void t.test('redirections are followed only where allowed, and not for ever', async (t) => {
  const files = new Map([['file', body]]);
  const other = await startBadServer(files, name);
  t.teardown(() => other.close());
  const to = (Location: string): Behaviour => ({ status: 302, headers: { Location } });
  const { server, source } = await setUp(t, quick, files);
  server.behave('moved', to(`${other.url}/file`));
  await rejectsWith(t, source.get('moved', 10_000), 'SOURCE_REDIRECT');
  t.equal(other.requests.length, 0, 'nothing is fetched from where nobody allowed it');

  const secret = server.url.replace('//', '//user:secret@');
  const follower = httpSource(secret, { ...quick, followRedirects: true });
  t.teardown(() => follower.close());
  t.ok((await follower.get('moved', 10_000)).equals(body));
  t.notOk('authorization' in (other.requests[0]?.headers ?? {}), 'credentials stay at home');
  server.behave('near', to('file'));
  t.ok((await follower.get('near', 10_000)).equals(body));
  server.reset();
  server.behave('loop', 'redirect-loop');
  await rejectsWith(t, follower.get('loop', 10_000), 'SOURCE_REDIRECT');
  t.equal(server.count('loop'), 5);
  for (const bad of ['ftp://127.0.0.1/x', 'http://', '//[', 'file:///etc/passwd']) {
    server.behave('bad', to(bad), 1);
    await rejectsWith(t, follower.get('bad', 10_000), 'SOURCE_REDIRECT', bad);
  }
  server.behave('bad', { status: 302 });
  await rejectsWith(t, follower.get('bad', 0), 'SOURCE_REDIRECT', 'to nowhere');
});

void t.test('credentials are sent and never shown', async (t) => {
  const { server } = await setUp(t);
  const source = httpSource(server.url.replace('//', '//us%40er:pass%3Aword@'), quick);
  t.teardown(() => source.close());
  await source.get('file', 10_000);
  const sent = server.requests[0]?.headers.authorization ?? '';
  t.equal(Buffer.from(sent.replace('Basic ', ''), 'base64').toString(), 'us@er:pass:word');
  t.equal(source.label, server.url);
  server.behave('file', 'error');
  await t.rejects(source.get('file', 10), { message: /^(?!.*pass).*made\.example\.org\/file/ });
});

void t.test('texts of a server can not write to a terminal', async (t) => {
  const { server, source } = await setUp(t);
  server.behave('file', { status: 302, headers: { Location: `/\u009b31m${'x'.repeat(5000)}` } });
  const error: unknown = await source.get('file', 10).catch((thrown: unknown) => thrown);
  if (!(error instanceof PinfsError)) throw new Error('no PinfsError');
  t.notMatch(error.message, /[^\x20-\x7e…]/);
  t.ok(error.message.length < 1000);
});

void t.test('connections are kept and bounded', async (t) => {
  const { server, source } = await setUp(t, { ...quick, connections: 3 });
  let release = (): void => undefined;
  server.behave('file', { after: new Promise<void>((resolve) => (release = resolve)) });
  const many = Array.from({ length: 20 }, () => source.get('file', body.length));
  while (server.requests.length < 3) await new Promise(setImmediate);
  t.equal(server.requests.length, 3);
  release();
  await Promise.all(many);
  for (let turn = 0; turn < 10; turn++) {
    await rejectsWith(t, source.get('nothing', 10), 'OBJECT_MISSING');
  }
  t.ok(server.connections <= 3, 'a 404 does not end one');
});

void t.test('a long text with an error status is not read to its end', async (t) => {
  const { server, source } = await setUp(t, quick);
  server.behave('file', { status: 404, headers: { 'Content-Length': '1000000000000' } }, 1);
  await rejectsWith(t, source.get('file', 10), 'OBJECT_MISSING');
  t.ok(source.traffic.bytes < 1_000_000);
  t.ok((await source.get('file', body.length)).equals(body));
});

void t.test('nobody listens', async (t) => {
  const silent = createServer();
  const port = await listen(t, silent);
  silent.close();
  await once(silent, 'close');
  const source = httpSource(`http://127.0.0.1:${port}/x`, { ...quick, retries: 1 });
  await rejectsWith(t, source.get('file', 10), 'SOURCE_UNREACHABLE');
  t.match(source.traffic, { requests: 0, failures: 2 });
  await source.close();
});

void t.test('a certificate that is not trusted is not asked again', async (t) => {
  const { certificate: cert, privateKey: key } = testCertificate;
  const port = await listen(t, createTlsServer({ cert, key }));
  const source = httpSource(`https://127.0.0.1:${port}/x`, quick);
  await rejectsWith(t, source.get('file', 10), 'TLS_AUTHORITY_UNKNOWN');
  t.equal(source.traffic.failures, 1);
  await source.close();
});

void t.test('a host that takes no connection is given up', async (t) => {
  const { port, close } = await startFullListener();
  t.teardown(close);
  const source = httpSource(`http://127.0.0.1:${port}/x`, {
    ...quick,
    connectTimeout: 200,
    headersTimeout: 10_000,
    retries: 0,
  });
  t.teardown(() => source.close());
  const error: unknown = await source.get('file', 10).catch((thrown: unknown) => thrown);
  t.match(error, { code: 'SOURCE_TIMEOUT', message: /no connection in time/ });
});
