import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startNameServer, type NameServer } from '../../testing/servers/name-server.js';
import { addressesOfHosts, parseResolverFile } from './files.js';
import { openNames, type NameOptions, type Names } from './names.js';

const host = 'proxy.example.org';

interface Scene {
  readonly server: NameServer;
  readonly names: Names;
  readonly clock: { now: number };
}

async function setUp(t: Test, options: NameOptions = {}): Promise<Scene> {
  const server = await startNameServer({ [host]: ['192.0.2.1', '2001:db8::1', '192.0.2.2'] });
  const clock = { now: 0 };
  const files = { hostsFile: '/nowhere', resolverFile: '/nowhere' };
  const given = { servers: [server.address], timeout: 300, retries: 0, ...files, ...options };
  const names = openNames(given, () => clock.now);
  t.teardown(async () => {
    names.close();
    await server.close();
  });
  return { server, names, clock };
}

const texts = async (names: Names, name = host): Promise<string[]> =>
  (await names.addresses(name)).map(({ address }) => address).sort();

void t.test(
  'the name server that is named is asked, and which kind is first can be said',
  async (t) => {
    const { names, server } = await setUp(t);
    t.same(await texts(names), ['192.0.2.1', '192.0.2.2', '2001:db8::1']);
    t.same(server.questions, [host, host], 'both kinds, once');
    t.same(await texts(names, '192.0.2.9'), ['192.0.2.9'], 'an address is no name');
    const six = await setUp(t, { prefer: 6 });
    t.equal((await six.names.addresses(host))[0]?.address, '2001:db8::1');
    const found = await new Promise((resolve) =>
      six.names.lookup(host, {}, (...answer) => resolve(answer)),
    );
    t.same(found, [null, '2001:db8::1', 6]);
  },
);

void t.test('silence, faults, names that are not there', async (t) => {
  const { names, server } = await setUp(t, { retries: 1 });
  server.behave('silent');
  const began = performance.now();
  await t.rejects(names.addresses(host), { code: 'EAI_AGAIN' });
  t.ok(performance.now() - began < 3000, 'the time-outs that were given');
  t.equal(server.questions.length, 4, 'asked twice for each kind');
  for (const fault of ['failing', 'garbage', 'another'] as const) {
    server.behave(fault);
    await t.rejects(names.addresses(host), { code: 'EAI_AGAIN' }, fault);
  }
  server.behave({ delayMs: 100 });
  t.equal((await texts(names)).length, 3, 'slow');
  server.behave('good');
  await t.rejects(names.addresses('absent.example.org'), { code: 'ENOTFOUND' });
  const looked = new Promise((resolve) =>
    names.lookup('absent.example.org', { all: true }, (error) => resolve(error?.code)),
  );
  t.equal(await looked, 'ENOTFOUND');
  t.throws(() => openNames({ servers: ['not an address'] }, () => 0), { code: 'USAGE' });
});

void t.test('a name is looked up again by its time to live, within bounds', async (t) => {
  const { names, server, clock } = await setUp(t, { minTtl: 10_000, maxTtl: 100_000 });
  const asked = async (): Promise<number> => {
    server.questions.length = 0;
    await names.addresses(host);
    return server.questions.length;
  };
  const times = [
    [1, 9_999, 10_001],
    [50, 49_999, 50_001],
    [1_000_000, 99_999, 100_001],
  ] as const;
  for (const [ttl, before, after] of times) {
    clock.now += 1e9;
    server.set(host, ['192.0.2.1'], ttl);
    t.equal(await asked(), 2, `ttl ${ttl}`);
    clock.now += before;
    t.equal(await asked(), 0, 'it is known');
    clock.now += after - before;
    t.equal(await asked(), 2, 'asked again');
  }
  clock.now += 1e9;
  server.behave('silent');
  t.same(await texts(names), ['192.0.2.1'], 'a name server that is away takes nothing');
});

void t.test('connections are left where none of their addresses counts any more', async (t) => {
  const { names, server, clock } = await setUp(t, { minTtl: 1000 });
  t.equal(names.generation(host), 0);
  await names.addresses(host);
  server.set(host, ['192.0.2.2', '192.0.2.3']);
  /** Looked up in the background, until it is known. */
  const after = async (expected: number): Promise<void> => {
    clock.now += 1001;
    server.questions.length = 0;
    names.generation(host);
    for (let i = 0; i < 500; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      const isKnown = server.questions.length === 2 && i > 10;
      if (isKnown && names.generation(host) === expected) break;
    }
    t.equal(names.generation(host), expected);
  };
  await after(0);
  server.set(host, ['198.51.100.1']);
  await after(1);
  server.set(host, []);
  await after(1);
});

void t.test(
  '079-dnsroaming: changes of resolv.conf are noticed; hosts(5) and domains as it has them',
  async (t) => {
    const directory = t.testdir({ hosts: '192.0.2.77 near far # other\nx near\n' });
    const resolverFile = join(directory, 'resolv.conf');
    const [one, other] = [await startNameServer(), await startNameServer()];
    t.teardown(async () => {
      await one.close();
      await other.close();
    });
    one.set('squid.example.org', ['192.0.2.1']);
    other.set('squid.example.org', ['192.0.2.2']);
    const name = (server: NameServer): void =>
      writeFileSync(
        resolverFile,
        `search none.example.org example.org\nnameserver ${server.address}\n`,
      );
    name(one);
    const files = { hostsFile: join(directory, 'hosts'), resolverFile };
    let now = 0;
    const roaming = openNames({ ...files, roaming: true, timeout: 300 }, () => now);
    const staying = openNames({ ...files, timeout: 300 }, () => now);
    t.same(await texts(roaming, 'NEAR'), ['192.0.2.77']);
    t.same(await texts(roaming, 'squid'), ['192.0.2.1']);
    t.same(await texts(staying, 'squid'), ['192.0.2.1']);
    name(other);
    now += 1e9;
    t.same(await texts(roaming, 'squid'), ['192.0.2.2'], 'a change is noticed');
    t.same(await texts(staying, 'squid'), ['192.0.2.1']);
    t.same(addressesOfHosts('192.0.2.1\n#\n', 'x'), []);
    t.same(parseResolverFile('domain a\nsearch b c # d\n;x\nnameserver\n'), {
      servers: [],
      domains: ['b', 'c'],
    });
  },
);
