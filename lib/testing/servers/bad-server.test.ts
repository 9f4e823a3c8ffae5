import { once } from 'node:events';
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { httpSource } from '../../source/http/http.js';
import type { Source } from '../../source/source.js';
import { startBadServer, type BadServer, type Contents } from './bad-server.js';

const content = Buffer.from('ten bytes!');
const files = new Map([
  ['data/file', content],
  ['other', Buffer.from('other')],
]);

async function setUp(
  t: Test,
  contents: Contents = files,
): Promise<{ server: BadServer; source: Source }> {
  const server = await startBadServer(contents, 'x.example.org');
  const source = httpSource(server.url, { backoff: 1, backoffMax: 1 });
  t.teardown(async () => {
    await source.close();
    await server.close();
  });
  return { server, source };
}

void t.test('content comes from files in memory, a directory or a function', async (t) => {
  const directory = t.testdir({ data: { file: content } });
  for (const contents of [files, directory, (path: string) => files.get(path)]) {
    const { server, source } = await setUp(t, contents);
    t.match(server.url, /\/x\.example\.org$/);
    t.ok((await source.get('data/file', 10)).equals(content));
    await t.rejects(source.get('data', 10), { code: 'OBJECT_MISSING' });
    t.same(
      server.requests.map(({ path, method }) => `${method} ${path}`),
      ['GET data/file', 'GET data'],
    );
  }
});

void t.test('wrong answers that look right', async (t) => {
  const { server, source } = await setUp(t);
  const get = async (): Promise<string> => (await source.get('data/file', 1000)).toString('latin1');
  server.behave('data/file', 'bit-flipped');
  t.equal(await get(), 'ten bxtes!');
  server.behave('data/file', 'wrong-content');
  t.equal((await get()).length, 10);
  t.not(await get(), content.toString());
  server.behave('data/file', 'shortened');
  t.equal(await get(), 'ten b');
  server.behave('data/file', 'empty');
  t.equal(await get(), '');
  server.behave('data/file', 'garbage');
  t.equal((await get()).length, 110);
  server.behave('data/file', 'html');
  t.match(await get(), /^<!DOCTYPE html>/);
});

void t.test('rules have their order and their number of times', async (t) => {
  const { server, source } = await setUp(t);
  server.behave(/^data\//, 'missing');
  server.behave('data/file', 'empty', 1);
  t.equal((await source.get('data/file', 10)).length, 0);
  await t.rejects(source.get('data/file', 10), { code: 'OBJECT_MISSING' });
  t.equal((await source.get('other', 10)).length, 5);
  t.equal(server.count('data/file'), 2);
  t.equal(server.count(/./), 3);
  t.equal(
    server.count((path) => path === 'other'),
    1,
  );
  server.reset();
  t.equal(server.count(/./), 0);
  t.ok((await source.get('data/file', 10)).equals(content));
});

void t.test('an answer can wait for something', async (t) => {
  const { server, source } = await setUp(t);
  let release = (): void => undefined;
  server.behave('other', { after: new Promise<void>((resolve) => (release = resolve)) });
  let done = false;
  const waiting = source.get('other', 10).then(() => (done = true));
  await source.get('data/file', 10);
  t.equal(done, false);
  release();
  await waiting;
});

void t.test('closing does not wait for anyone', async (t) => {
  const server = await startBadServer(files);
  server.behave('hang', 'hang');
  server.behave('drip', 'endless');
  const sockets = ['hang', 'drip'].map((path) => {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(`GET /made.example.org/${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return socket;
  });
  while (server.requests.length < 2) await new Promise(setImmediate);
  const closed = sockets.map((socket) => once(socket, 'close'));
  await server.close();
  await Promise.all(closed);
  t.pass('all connections are closed');
});
