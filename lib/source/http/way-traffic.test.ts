import t from 'tap';
import { startBadServer } from '../../testing/servers/bad-server.js';
import { startForwardProxy } from '../../testing/servers/forward-proxy.js';
import { rejectsWith } from '../../testing/suites/source-conformance.js';
import { parseProxies } from '../failover/proxies.js';
import type { Traffic } from '../source.js';
import { httpSource } from './http.js';
import { addWayTraffic, countFirstByte, firstByteMsBounds } from './way-traffic.js';

void t.test('times are counted in classes', (t) => {
  const way = addWayTraffic({ requests: 0, bytes: 0, failures: 0 }, 'http://server/x', 'DIRECT');
  for (const milliseconds of [1, 5, 6, 1e6]) countFirstByte(way, milliseconds);
  t.equal(way.firstBytes.length, firstByteMsBounds.length + 1);
  t.same([way.firstBytes[0], way.firstBytes[1], way.firstBytes.at(-1)], [2, 1, 1]);
  t.equal(way.firstByteMs, 1_000_012);
  t.end();
});

void t.test('requests, bytes and errors are counted by mirror and proxy', async (t) => {
  const body = Buffer.alloc(5000, 'x');
  const files = new Map([
    ['file', body],
    ['.cvmfspublished', Buffer.from('manifest')],
  ]);
  const servers = [await startBadServer(files), await startBadServer(files)];
  const proxy = await startForwardProxy();
  const [first, second] = servers.map(({ url }) => url);
  const withSecret = first?.replace('http://', 'http://me:secret@') ?? '';
  const source = httpSource(withSecret, {
    mirrors: [second ?? ''],
    hopsFor: () => parseProxies(`${proxy.url.replace('http://', 'http://you:hidden@')};DIRECT`),
    retries: 0,
  });
  t.teardown(async () => {
    await source.close();
    for (const one of [...servers, proxy]) await one.close();
  });
  t.equal((await source.get('file', 5000)).length, 5000);
  servers[0]?.behave('file', 'error');
  t.equal((await source.get('file', 5000)).length, 5000);
  await rejectsWith(t, source.get('absent', 10), 'OBJECT_MISSING');
  const { ways = [] }: Traffic = source.traffic;
  const of = (mirror: string | undefined) =>
    ways.find((way) => way.mirror === mirror && way.proxy === proxy.url);
  t.match(of(first), { bytes: 5000, errors: { SOURCE_STATUS: 1 } });
  t.match(of(second), { errors: { OBJECT_MISSING: 1 } });
  const bytes = ways.reduce((all, way) => all + way.bytes, 0);
  t.ok(bytes >= 10_000 && bytes <= source.traffic.bytes, `${bytes} bytes`);
  t.notMatch(JSON.stringify(ways), /secret|hidden/);
  const sum = ways.reduce((all, { requests }) => all + requests, 0);
  t.equal(sum, source.traffic.requests, 'each request is one of a way');
});
