import dns from 'node:dns';
import t, { type Test } from 'tap';
import { startBadServer } from '../testing/servers/bad-server.js';
import { rejectsWith } from '../testing/suites/source-conformance.js';
import { steeredDemand } from '../testing/waiting.js';
import { httpSource } from './http/http.js';

const body = Buffer.from('what is published');

/** A source whose host's name can't be looked up so many times; who asked is counted. */
async function setUp(t: Test, failures: number, code: 'ENOTFOUND' | 'EAI_AGAIN') {
  const server = await startBadServer(new Map([['file', body]]), 'made.example.org');
  const looked = { count: 0 };
  const usual = dns.lookup;
  const lookup = (name: string, ...rest: readonly unknown[]): void => {
    looked.count += 1;
    const found = rest.at(-1) as (error: Error | null, addresses?: unknown) => void;
    const error = Object.assign(new Error(`getaddrinfo ${code} ${name}`), { code });
    if (looked.count <= failures) setImmediate(found, error);
    else setImmediate(found, null, [{ address: '127.0.0.1', family: 4 }]);
  };
  Object.assign(dns, { lookup });
  const url = `http://laptop.example.org:${server.port}/made.example.org`;
  const source = httpSource(url, { backoff: 1, backoffMax: 2 });
  t.teardown(async () => {
    Object.assign(dns, { lookup: usual });
    await source.close();
    await server.close();
  });
  return { source, looked };
}

void t.test('a host that is not known is an outage for whoever waits in a mount', async (t) => {
  const { source, looked } = await setUp(t, 8, 'ENOTFOUND');
  const demand = steeredDemand();
  t.ok((await source.get('file', body.length, { demand })).equals(body));
  t.equal(looked.count, 9);
  t.match(demand.troubles[0], { code: 'SOURCE_UNREACHABLE', passing: true });
});

void t.test('it is told at once at the first contact', async (t) => {
  const { source, looked } = await setUp(t, Infinity, 'ENOTFOUND');
  const brief = { ...steeredDemand(), persistent: false };
  await rejectsWith(t, source.get('file', body.length), 'SOURCE_UNREACHABLE');
  await rejectsWith(t, source.get('file', body.length, { demand: brief }), 'SOURCE_UNREACHABLE');
  t.equal(looked.count, 2);
});

void t.test('a resolver that is busy is asked again at the first contact as well', async (t) => {
  const { source, looked } = await setUp(t, 2, 'EAI_AGAIN');
  t.ok((await source.get('file', body.length)).equals(body));
  t.equal(looked.count, 3);
});
