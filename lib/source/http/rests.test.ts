import t from 'tap';
import { startBadServer } from '../../testing/servers/bad-server.js';
import { httpSource } from './http.js';
import { openRests } from './rests.js';

const way = { mirror: 0, hop: 0 };
const other = { mirror: 1, hop: 0 };

void t.test('who asked to be left alone is, until then or until he answers', (t) => {
  const rests = openRests();
  rests.note(way, 100);
  rests.note(way, 200);
  rests.note(other, 150);
  t.equal(rests.left(way, 50), 150);
  t.same(rests.ways(50), [way, other]);
  t.same(rests.ways(150), [way]);
  rests.over(way);
  t.equal(rests.left(way, 50), 0);
  t.equal(rests.left(other, 300), 0);
  t.end();
});

void t.test('Retry-After counts for what else would be asked of the same server', async (t) => {
  const files = new Map(['one', 'two', 'three'].map((name) => [name, Buffer.from(name)]));
  const server = await startBadServer(files);
  const source = httpSource(server.url, { backoff: 1, backoffMax: 2 });
  t.teardown(async () => {
    await source.close();
    await server.close();
  });
  server.behave('one', { status: 503, headers: { 'Retry-After': '2' } }, 1);
  const began = performance.now();
  const first = source.get('one', 10);
  while (source.traffic.failures === 0) await new Promise(setImmediate);
  const others = ['two', 'three'].map((name) => source.get(name, 10));
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.equal(source.traffic.requests, 1, 'they wait with it');
  t.same(
    (await Promise.all([first, ...others])).map(String),
    ['one', 'two', 'three'],
    'and are right',
  );
  t.ok(performance.now() - began >= 1990);
  t.equal(source.traffic.requests, 4);
});
