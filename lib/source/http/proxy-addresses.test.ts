import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import type { PinfsError } from '../../format/errors.js';
import { startBadServer } from '../../testing/servers/bad-server.js';
import { startForwardProxy, type ForwardProxy } from '../../testing/servers/forward-proxy.js';
import { startNameServer } from '../../testing/servers/name-server.js';
import { parseProxies } from '../failover/proxies.js';
import type { Source } from '../source.js';
import { httpSource, type HttpOptions } from './http.js';
import { chooseAddresses } from './proxy-addresses.js';

const body = Buffer.from('what is published '.repeat(100));
const host = 'squid.example.org';

/** The same port on several addresses of loopback, each of which leads to a proxy of its own. */
async function listenOn(t: Test, targets: Readonly<Record<string, ForwardProxy>>): Promise<number> {
  let port = 0;
  for (const [address, target] of Object.entries(targets)) {
    const server = createServer((socket) => {
      const onward = connect(target.port, '127.0.0.1');
      for (const one of [socket, onward]) one.on('error', () => undefined);
      socket.on('close', () => onward.destroy());
      onward.on('close', () => socket.destroy());
      socket.pipe(onward).pipe(socket);
    });
    server.listen(port, address);
    await once(server, 'listening');
    // A server that listens on TCP has an address of this form.
    ({ port } = server.address() as AddressInfo);
    t.teardown(() => server.close());
  }
  return port;
}

async function setUp(t: Test, options: HttpOptions = {}) {
  const names = await startNameServer({ [host]: ['127.0.0.2', '127.0.0.3'] });
  const server = await startBadServer(new Map([['file', body]]));
  const proxies = [await startForwardProxy(), await startForwardProxy()];
  const [one, other] = proxies;
  if (one === undefined || other === undefined) throw new Error('there are two');
  const port = await listenOn(t, { '127.0.0.2': one, '127.0.0.3': other, '127.0.0.4': other });
  const told: PinfsError[] = [];
  const source = httpSource(server.url, {
    backoff: 1,
    backoffMax: 2,
    hopsFor: () => parseProxies(`${host}:${port}`),
    names: { servers: [names.address], timeout: 500, minTtl: 1, hostsFile: '/nowhere' },
    tell: (event) => told.push(event),
    ...options,
  });
  t.teardown(async () => {
    await source.close();
    for (const each of [server, names, ...proxies]) await each.close();
  });
  const counts = (): number[] => proxies.map(({ requests }) => requests.length);
  return { names, one, other, source, told, counts, server };
}

const isRight = async (t: Test, source: Source, message: string): Promise<void> => {
  t.ok((await source.get('file', body.length)).equals(body), message);
};

void t.test('a name with several addresses counts as several proxies', async (t) => {
  const { one, other, source, told, counts } = await setUp(t);
  await isRight(t, source, 'through one of them');
  t.match(
    source.ways?.map(({ label }) => label.replace(/^.*org/, '')),
    [/\(127.0.0.2\)$/, /\(127.0.0.3\)$/],
  );
  const first = one.requests.length > 0 ? one : other;
  first.behave('reset');
  await isRight(t, source, 'through the other one');
  t.ok(counts().every((count) => count > 0));
  t.match(told, [{ code: 'SOURCE_CHANGED', message: /squid.example.org:\d+ \(127/ }]);
});

void t.test('addresses are looked up again', async (t) => {
  const { names, one, other, source } = await setUp(t);
  names.set(host, ['127.0.0.2']);
  await isRight(t, source, 'through the first');
  t.equal(one.requests.length, 1);
  names.set(host, ['127.0.0.4']);
  for (let i = 0; i < 200 && other.requests.length === 0; i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    await isRight(t, source, 'whatever it leads to');
  }
  t.equal(other.requests.length, 1, 'also though the old one still answers');
  names.behave('silent');
  await isRight(t, source, 'with no name server');
});

void t.test(
  'no more addresses than are to be, and a name that leads nowhere is told',
  async (t) => {
    const { source, names } = await setUp(t, { addressesPerProxy: 1 });
    await isRight(t, source, 'through one');
    t.equal(source.ways?.length, 1);
    names.set(host, []);
    const nowhere = await setUp(t, { retries: 0 });
    nowhere.names.set(host, []);
    await t.rejects(nowhere.source.get('file', 9999), {
      code: 'SOURCE_UNREACHABLE',
      message: /through http:\/\/squid.example.org.*no host of that name/,
    });
    const found = ['192.0.2.3', '2001:db8::1', '192.0.2.1'].map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }));
    const choose = (prefer: number, most: number, known = ''): string[] =>
      chooseAddresses(found, prefer, most, ({ address }) => address === known).map(
        ({ address }) => address,
      );
    t.same(choose(4, 9), ['192.0.2.1', '192.0.2.3']);
    t.same(choose(6, 9), ['2001:db8::1']);
    for (let i = 0; i < 20; i++) t.same(choose(4, 1, '192.0.2.3'), ['192.0.2.3'], 'that stays');
  },
);

void t.test('a silent name server costs a time-out and no more', async (t) => {
  const { names, source } = await setUp(t, { retries: 0, deadline: 3000 });
  names.behave('silent');
  const began = performance.now();
  await t.rejects(source.get('file', 9999), {
    code: 'SOURCE_UNREACHABLE',
    message: /can not be looked up/,
  });
  t.ok(performance.now() - began < 8000);
  names.behave('good');
  await isRight(t, source, 'it is back');
});
