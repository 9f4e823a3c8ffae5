import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { directory, file, makeRepository } from '../publish/write-repository.js';
import { openBench, readText, type Bench } from '../testing/bench.js';
import { startBadServer, type BadServer } from '../testing/servers/bad-server.js';
import { startForwardProxy, type ForwardProxy } from '../testing/servers/forward-proxy.js';
import { startNameServer } from '../testing/servers/name-server.js';
import type { NetworkData } from '../source/network.js';
import { nextCheck } from './follow.js';
import { openRepository } from './open.js';
import type { OpenOptions } from './open/options.js';
import type { Repository } from './repository.js';
import { walk } from './use/path.js';

/*
 * Cases of the reference that concern the network, by their names there. 079-dnsroaming stands in
 * lib/source/names/names.test.ts, 618-repometainfo in lib/repository/attributes.test.ts. What 702-symlink_caching asks of
 * directories on which something is mounted does not hold: docs/decisions/013-directories-have-no-identity-by-path.md.
 */

const closed = directory({ file: file('three', { mode: 0o600 }) }, { mode: 0o700 });
const made = makeRepository({
  revisions: [{ tree: { file: file('one'), other: file('two'), closed } }],
});
const content = /^data\/..\/[0-9a-f]+$/;
const catalog = /^data\/..\/[0-9a-f]+C$/;

interface Scene {
  readonly bench: Bench;
  readonly servers: readonly BadServer[];
  readonly proxies: readonly ForwardProxy[];
  /** With a cache of its own each time. */
  readonly open: (
    options?: Partial<OpenOptions>,
    network?: Partial<NetworkData>,
  ) => Promise<Repository>;
}

async function setUp(t: Test): Promise<Scene> {
  const bench = await openBench(t, made);
  const servers = [bench.server, await startBadServer(bench.files, made.fqrn)];
  const proxies = [await startForwardProxy(), await startForwardProxy()];
  t.teardown(async () => {
    for (const one of [...servers.slice(1), ...proxies]) await one.close();
  });
  let count = 0;
  const open: Scene['open'] = async (options = {}, network = {}) => {
    const given = {
      source: bench.server.url,
      mirrors: servers.slice(1).map(({ url }) => url),
      keys: [bench.key],
      cache: join(bench.work, `cache${count++}`),
      site: { note: 'a site', network: { timeout: 400, timeoutDirect: 400, ...network } },
      ...options,
    };
    const opened = await openRepository(given, { ...bench.environment, network: {} });
    t.teardown(() => opened.close());
    return opened;
  };
  return { bench, servers, proxies, open };
}

void t.test('018-httpunreachable: a dead first host is skipped for the next', async (t) => {
  const { open, servers } = await setUp(t);
  const dead = await startBadServer(made.files, made.fqrn);
  await dead.close();
  const mirrors = servers.map(({ url }) => url);
  t.equal(await readText(await open({ source: dead.url, mirrors })), 'one');
});

void t.test('019-httptimeout: a silent first host is skipped', async (t) => {
  const { open, servers } = await setUp(t);
  servers[0]?.behave(/./, 'hang');
  t.equal(await readText(await open()), 'one');
});

void t.test('020-emptyrepofailover: a host that answers 404 is skipped', async (t) => {
  const { open, servers } = await setUp(t);
  servers[0]?.behave(/./, 'missing');
  t.equal(await readText(await open()), 'one');
  t.ok((servers[1]?.count(content) ?? 0) > 0);
});

void t.test('025-proxyfailover: dead proxies are skipped', async (t) => {
  const { open, proxies } = await setUp(t);
  await proxies[0]?.close();
  const list = proxies.map(({ url }) => url);
  for (const [at, proxy] of [list.join('|'), list.join(';')].entries())
    t.equal(await readText(await open({ proxy })), 'one', `list ${at}`);
  const refused = /refused/;
  await t.rejects(open({ proxy: list[0] ?? '', deadline: 1000 }), { message: refused });
});

void t.test('030-missingrootcatalog: 404 on the root catalog: next host', async (t) => {
  const { open, servers } = await setUp(t);
  servers[0]?.behave(catalog, 'missing');
  t.equal(await readText(await open()), 'one');
  t.equal(servers[1]?.count(catalog), 1);
  servers[1]?.behave(catalog, 'missing');
  await t.rejects(open(), { code: 'OBJECT_MISSING' });
});

void t.test('038-maxttl: the user can cap the TTL', async (t) => {
  const { open } = await setUp(t);
  const usual = nextCheck(await open()) ?? 0;
  t.ok(usual >= 60);
  t.equal(nextCheck(await open({ site: { note: '', network: {}, maxTtl: 60 } })), 60);
  const more = nextCheck(await open({ site: { note: '', network: {}, maxTtl: usual + 60 } }));
  t.equal(more, usual, 'the repository may ask for less');
});

void t.test('052-roundrobindns: addresses of proxies are re-resolved', async (t) => {
  const { open, proxies } = await setUp(t);
  const names = await startNameServer({ 'squid.example.org': ['127.0.0.1'] });
  t.teardown(() => names.close());
  const [proxy] = proxies;
  const network = { dnsServer: names.address, dnsTimeout: 500, dnsMinTtl: 1 };
  const repository = await open({ proxy: `squid.example.org:${proxy?.port ?? 0}` }, network);
  t.equal(await readText(repository), 'one');
  t.ok((proxy?.requests.length ?? 0) > 0);
  const asked = names.questions.length;
  // Nobody listens at the other one: it is left for the one that is there now.
  names.set('squid.example.org', ['127.0.0.9', '127.0.0.1']);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(await readText(repository, '/other'), 'two');
  t.ok(names.questions.length > asked);
});

void t.test('054-geoapi: servers and fallback proxies in geographic order', async (t) => {
  const { open, servers, bench } = await setUp(t);
  const hosts = ['s1.example.org', 's2.example.org'];
  const names = await startNameServer(Object.fromEntries(hosts.map((one) => [one, ['127.0.0.1']])));
  t.teardown(() => names.close());
  const [source = '', ...mirrors] = servers.map(
    ({ port }, at) => `http://${hosts[at] ?? ''}:${port}/${made.fqrn}`,
  );
  for (const nearest of [0, 1]) {
    const path = `api/v1.0/geo/site${nearest}.example.org/${hosts.join(',')}`;
    bench.files.set(path, Buffer.from(nearest === 0 ? '1,2\n' : '2,1\n'));
    for (const server of servers) server.reset();
    const template = `site${nearest}.example.org`;
    const network = { geo: true, dnsServer: names.address, proxyTemplate: template };
    t.equal(await readText(await open({ source, mirrors }, network)), 'one');
    const counts = servers.map((server) => server.count(content));
    t.same([counts[nearest], counts[1 - nearest]], [1, 0], 'the nearer one gives it');
    t.equal(
      servers.flatMap(({ requests }) => requests).filter((one) => one.path === path).length,
      1,
    );
  }
});

void t.test('059-fallbackproxy: fallback proxies', async (t) => {
  const { open, servers, proxies } = await setUp(t);
  const [one, fallback] = proxies;
  await one?.close();
  const network = { fallbackProxies: fallback?.url };
  t.equal(await readText(await open({ proxy: `${one?.url ?? ''};DIRECT` }, network)), 'one');
  const asked = servers.map(({ requests }) => requests.length).reduce((a, b) => a + b);
  t.equal(fallback?.requests.length, asked, 'nobody is asked directly');
});

const shownOf = async (repository: Repository, path: string): Promise<readonly number[]> => {
  const { uid, gid, mode } = await walk(repository, path, true);
  return [uid, gid, mode & 0o777];
};

void t.test('063-uidmap: uid and gid maps', async (t) => {
  const { open, bench } = await setUp(t);
  const [uid = -1, gid = -1, mode = -1] = await shownOf(await open(), '/file');
  const write = (text: string): string => {
    const path = join(bench.work, 'map');
    writeFileSync(path, text);
    return path;
  };
  const shown = async (text: string): Promise<readonly number[]> => {
    const map = write(text);
    const site = { note: '', network: {}, shown: { uidMap: map, gidMap: map } };
    return await shownOf(await open({ site }), '/file');
  };
  t.same(await shown(`# a comment\n${uid} 77\n`), [77, uid === gid ? 77 : gid, mode]);
  t.same(await shown('* 78 # all\n'), [78, 78, mode]);
  t.same(await shown(`${uid}   79\n* 80\n`), [79, uid === gid ? 79 : 80, mode]);
  for (const wrong of ['1', '1 2 3', 'a 1', '1 *', '-1 2', '1 99999999999'])
    await t.rejects(shown(`1 2\n${wrong}\n`), { code: 'USAGE', message: /map:2 / }, wrong);
  const site = { note: '', network: {}, shown: { uidMap: join(bench.work, 'nothing') } };
  await t.rejects(open({ site }), { code: 'USAGE', message: /CVMFS_UID_MAP/ });
});

void t.test('704-world_readable: all readable if asked for, as published otherwise', async (t) => {
  const { open } = await setUp(t);
  const asked = await open({ site: { note: '', network: {}, shown: { worldReadable: true } } });
  const published = await open();
  for (const [path, bits] of [
    ['/closed', 0o555],
    ['/closed/file', 0o444],
    ['/file', 0o444],
  ] as const) {
    const [, , mode = 0] = await shownOf(published, path);
    t.equal((await shownOf(asked, path))[2], mode | bits, path);
  }
  t.equal((await shownOf(published, '/closed/file'))[2], 0o600);
});

void t.test('065-http-400: 400 counts as host failure, not as proxy failure', async (t) => {
  const { open, servers, proxies } = await setUp(t);
  servers[0]?.behave(/./, { status: 400 });
  const repository = await open({ proxy: proxies.map(({ url }) => url).join(';') });
  t.equal(await readText(repository), 'one');
  for (let i = 0; i < 200 && !isThroughFirst(repository, proxies); i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  t.ok(isThroughFirst(repository, proxies), 'the proxy is well again as soon as that is known');
  t.match(repository.traffic.way, servers[1]?.url);
});

function isThroughFirst({ traffic }: Repository, [first]: readonly ForwardProxy[]): boolean {
  return traffic.way?.endsWith(` through ${first?.url ?? ''}`) === true;
}

void t.test('522-missingchunkfailover: 404 on objects: next host', async (t) => {
  const { open, servers } = await setUp(t);
  servers[0]?.behave(content, 'missing');
  t.equal(await readText(await open()), 'one');
});

void t.test('523-corruptchunkfailover: damaged objects: next host', async (t) => {
  for (const behaviour of ['bit-flipped', 'truncated', 'garbage', 'html', 'empty'] as const) {
    const { open, servers } = await setUp(t);
    servers[0]?.behave(/^data\//, behaviour);
    t.equal(await readText(await open()), 'one', behaviour);
  }
});

void t.test(
  '524-corruptmanifestfailover: log-in page instead of manifest or whitelist: next host',
  async (t) => {
    for (const path of ['.cvmfspublished', '.cvmfswhitelist']) {
      const { open, servers } = await setUp(t);
      servers[0]?.behave(path, 'html');
      const repository = await open();
      t.equal(repository.verdict.status, 'verified', path);
      t.equal(await readText(repository), 'one');
    }
  },
);

void t.test('572-proxyfailover: groups of proxies, delays, garbage', async (t) => {
  const faults = ['freeze', 'bit-flipped', 'html', 'truncated', { delayMs: 2000 }] as const;
  for (const fault of faults) {
    const { open, proxies } = await setUp(t);
    const [one, other] = proxies;
    one?.behave(fault);
    const repository = await open({ proxy: `${one?.url ?? ''};${other?.url ?? ''}` });
    t.equal(await readText(repository), 'one', JSON.stringify(fault));
    t.ok((other?.requests.length ?? 0) > 0);
  }
});
