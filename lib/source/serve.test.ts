import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { conforms } from '../testing/suites/source-conformance.js';
import { writeFiles } from '../publish/write-repository.js';
import { toBytes } from '../format/bytes.js';
import { httpSource } from './http/http.js';
import { serve, type ServeOptions, type RunningServer } from './serve.js';

interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function ask(
  served: RunningServer,
  path: string,
  headers: Record<string, string> = {},
  method = 'GET',
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = { port: served.port, host: '127.0.0.1', path, method, headers, agent: false };
    request(options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        resolve({ status, headers, body: Buffer.concat(chunks) });
      });
    })
      .on('error', reject)
      .end();
  });
}

const large = Buffer.alloc(1_000_000, 'a large file ');

async function setUp(t: Test, options: ServeOptions = {}): Promise<RunningServer> {
  const directory = t.testdir();
  writeFiles(
    `${directory}/web`,
    new Map([
      ['repo/digits', Buffer.from('0123456789')],
      ['repo/large', large],
      ['repo/empty', Buffer.alloc(0)],
    ]),
  );
  writeFileSync(`${directory}/secret`, 'secret');
  symlinkSync('../secret', `${directory}/web/out`);
  symlinkSync('repo', `${directory}/web/alias`);
  const served = await serve(`${directory}/web`, options);
  t.teardown(() => served.close());
  return served;
}

void t.test('what is served is a source', (t) => {
  conforms(t, async (t, files) => {
    const directory = t.testdir();
    mkdirSync(`${directory}/repo`);
    for (const [path, bytes] of files) {
      const full = Buffer.concat([Buffer.from(`${directory}/repo/`), toBytes(path)]);
      mkdirSync(full.subarray(0, full.lastIndexOf('/')), { recursive: true });
      writeFileSync(full, bytes);
    }
    const served = await serve(directory);
    const source = httpSource(`${served.url}/repo`);
    t.teardown(async () => {
      await source.close();
      await served.close();
    });
    return source;
  });
  t.end();
});

void t.test('files are served whole', async (t) => {
  const served = await setUp(t);
  t.match(served.url, /^http:\/\/127\.0\.0\.1:\d+$/, 'on loopback');
  const reply = await ask(served, '/repo/large');
  t.equal(reply.status, 200);
  t.match(reply.headers, {
    'content-type': 'application/octet-stream',
    'content-length': '1000000',
    'accept-ranges': 'bytes',
  });
  const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
  t.equal(digest(reply.body), digest(large));
  t.equal((await ask(served, '/repo/digits?x=y')).body.toString(), '0123456789');
  t.equal((await ask(served, '//repo///digits')).body.toString(), '0123456789');
  t.equal((await ask(served, '/%72epo/digits')).body.toString(), '0123456789');
  t.equal((await ask(served, '/alias/digits')).status, 200, 'a link that stays inside');
  t.match(await ask(served, '/repo/empty'), { status: 200, headers: { 'content-length': '0' } });
  const headers = await ask(served, '/repo/digits', {}, 'HEAD');
  t.match(headers, { status: 200, headers: { 'content-length': '10' } });
  t.equal(headers.body.length, 0);
});

void t.test('links that lead out are followed where that is asked for', async (t) => {
  const served = await setUp(t, { followLinks: true });
  t.equal((await ask(served, '/out')).body.toString(), 'secret');
  t.equal((await ask(served, '/repo/digits')).status, 200);
  for (const path of ['/../secret', '/repo/..%2f..%2fsecret', '/alias'])
    t.equal((await ask(served, path)).status, 404, path);
});

void t.test('nothing else is served', async (t) => {
  const served = await setUp(t);
  const paths = ['/nothing', '/repo', '/repo/', '/out', '/../secret', '/%2e%2e/secret'];
  for (const path of [...paths, '/repo/..%2f..%2fsecret', '/repo/%zz', '/repo/digits%00', '*']) {
    const reply = await ask(served, path);
    t.equal(reply.status, 404, path);
    t.notMatch(reply.body.toString(), /secret/);
  }
  t.match((await ask(served, '/')).body.toString(), /pinfs/, 'a word to people who look');
  t.equal((await ask(served, '/', {}, 'HEAD')).status, 200);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    t.match(await ask(served, '/repo/digits', {}, method), {
      status: 405,
      headers: { allow: 'GET, HEAD' },
    });
  }
});

void t.test('an unchanged file is not sent again', async (t) => {
  const served = await setUp(t);
  const etag = (await ask(served, '/repo/digits')).headers.etag ?? '';
  t.match(etag, /^"[^"]+"$/);
  for (const known of [etag, `"other", ${etag}`, '*']) {
    const reply = await ask(served, '/repo/digits', { 'If-None-Match': known });
    t.match(reply, { status: 304, headers: { etag } });
    t.equal(reply.body.length, 0);
  }
  t.equal((await ask(served, '/repo/digits', { 'If-None-Match': '"other"' })).status, 200);
  utimesSync(`${t.testdirName}/web/repo/digits`, 1, 1);
  t.equal((await ask(served, '/repo/digits', { 'If-None-Match': etag })).status, 200, 'changed');
});

void t.test('single ranges are served', async (t) => {
  const served = await setUp(t);
  const range = async (text: string, path = '/repo/digits'): Promise<[number, string, unknown]> => {
    const { status, body, headers } = await ask(served, path, { Range: text });
    return [status, body.toString(), headers['content-range']];
  };
  t.same(await range('bytes=2-4'), [206, '234', 'bytes 2-4/10']);
  t.same(await range('bytes=0-0'), [206, '0', 'bytes 0-0/10']);
  t.same(await range('bytes=7-'), [206, '789', 'bytes 7-9/10']);
  t.same(await range('bytes=7-99'), [206, '789', 'bytes 7-9/10']);
  t.same(await range('bytes=-3'), [206, '789', 'bytes 7-9/10']);
  t.same(await range('bytes=-99'), [206, '0123456789', 'bytes 0-9/10']);
  const all = [200, '0123456789', undefined];
  for (const other of ['bytes=4-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-', 'bytes=a-b']) {
    t.same(await range(other), all, `${other} is not heeded`);
  }
  t.same(await range('bytes=10-11'), [416, 'no such range\n', 'bytes */10']);
  t.same(await range('bytes=-0'), [416, 'no such range\n', 'bytes */10']);
  t.same(await range('bytes=0-0', '/repo/empty'), [416, 'no such range\n', 'bytes */0']);
  const [status, body] = await range('bytes=100000-899999', '/repo/large');
  t.equal(status, 206);
  t.ok(Buffer.from(body).equals(large.subarray(100_000, 900_000)));
});

void t.test('connections are kept, and closing does not wait for them', async (t) => {
  const served = await serve(t.testdir({ file: 'x' }));
  const socket = connect(served.port, '127.0.0.1');
  const answers: string[] = [];
  const twice = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      answers.push(chunk.toString());
      if ((answers.join('').match(/200 OK/g) ?? []).length === 2) resolve();
    });
  });
  socket.on('error', () => undefined);
  socket.write('GET /file HTTP/1.1\r\nHost: x\r\n\r\nGET /file HTTP/1.1\r\nHost: x\r\n\r\n');
  await twice;
  await served.close();
  t.match(answers.join(''), /200 OK[^]*200 OK/);
});

void t.test('what can not be served is said to be so', async (t) => {
  const unreachable = { name: 'PinfsError', code: 'SOURCE_UNREACHABLE' };
  await t.rejects(serve(`${t.testdir({ file: '' })}/nothing`), unreachable);
  await t.rejects(serve(`${t.testdirName}/file`), unreachable);
  const first = await serve(t.testdirName);
  t.teardown(() => first.close());
  const usage = { name: 'PinfsError', code: 'USAGE' };
  await t.rejects(serve(t.testdirName, { port: first.port }), usage, 'the port is taken');
  await t.rejects(serve(t.testdirName, { port: 70_000 }), usage, 'no such port');
});
