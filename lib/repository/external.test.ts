import t from 'tap';
import { openBench, readText } from '../testing/bench.js';
import { startBadServer, type BadServer } from '../testing/servers/bad-server.js';
import { startForwardProxy } from '../testing/servers/forward-proxy.js';
import { file, makeRepository } from '../publish/write-repository.js';
import { siteOptions } from './configured/site-options.js';
import type { OpenOptions } from './open/options.js';

/* External files as a site's files say (CVMFS_EXTERNAL_…). */

const made = makeRepository({
  revisions: [{ tree: { a: file('one', { external: true }), b: file('two', { external: true }) } }],
});

/** The options that settings of a site lead to. */
function optionsOf(url: string, settings: Readonly<Record<string, string>>): OpenOptions {
  const origin = { kind: 'given', name: '--set' } as never;
  const values = Object.entries(settings).map(
    ([name, value]) => [name, { name, value, origin, overrode: [] }] as const,
  );
  const configuration = { settings: new Map(values) } as never;
  const named = { fqrn: made.fqrn, pin: undefined, urls: [url] };
  return siteOptions({ source: made.fqrn }, named, configuration);
}

async function outside(t: { teardown(clean: () => unknown): unknown }): Promise<BadServer> {
  const files = new Map([...made.external].map(([path, bytes]) => [path.slice(1), bytes]));
  const server = await startBadServer(files, made.fqrn);
  t.teardown(() => server.close());
  return server;
}

void t.test('external files have servers and proxies of their own', async (t) => {
  const bench = await openBench(t, made);
  const [dead, good] = [await outside(t), await outside(t)];
  const [proxy, other] = [await startForwardProxy(), await startForwardProxy()];
  t.teardown(async () => {
    await proxy.close();
    await other.close();
  });
  dead.behave(/./, { status: 404 });
  const options = optionsOf(bench.server.url, {
    CVMFS_HTTP_PROXY: proxy.url,
    CVMFS_EXTERNAL_URL: `${dead.url};${good.url}`,
    CVMFS_EXTERNAL_HTTP_PROXY: other.url,
    CVMFS_EXTERNAL_TIMEOUT: '4',
  });
  const opened = await bench.open(undefined, options);
  t.equal(await readText(opened, '/a'), 'one', 'the second server has it');
  t.ok(dead.count('a') > 0);
  t.equal(good.count('a'), 1);
  const isOutside = (request: string): boolean =>
    [dead, good].some(({ url }) => request.includes(new URL(url).host));
  t.ok(other.requests.length > 0 && other.requests.every(isOutside));
  t.ok(proxy.requests.length > 0 && !proxy.requests.some(isOutside));
});

void t.test('where their proxies are dead, their fallback proxies are asked', async (t) => {
  const bench = await openBench(t, made);
  const good = await outside(t);
  const [closed, fallback] = [await startForwardProxy(), await startForwardProxy()];
  await closed.close();
  t.teardown(() => fallback.close());
  const options = optionsOf(bench.server.url, {
    CVMFS_HTTP_PROXY: 'DIRECT',
    CVMFS_EXTERNAL_URL: good.url,
    CVMFS_EXTERNAL_HTTP_PROXY: closed.url,
    CVMFS_EXTERNAL_FALLBACK_PROXY: fallback.url,
  });
  const opened = await bench.open(undefined, options);
  t.equal(await readText(opened, '/b'), 'two');
  t.equal(fallback.requests.length, 1, 'and nothing of the repository itself');
});

void t.test(
  'a server of external files that hangs costs their time-out, not that of others',
  async (t) => {
    const bench = await openBench(t, made);
    const [hanging, good] = [await outside(t), await outside(t)];
    hanging.behave(/./, 'hang');
    const options = optionsOf(bench.server.url, {
      CVMFS_HTTP_PROXY: 'DIRECT',
      CVMFS_TIMEOUT_DIRECT: '600',
      CVMFS_EXTERNAL_URL: `${hanging.url};${good.url}`,
      CVMFS_EXTERNAL_HTTP_PROXY: 'DIRECT',
      CVMFS_EXTERNAL_TIMEOUT_DIRECT: '1',
      CVMFS_MAX_RETRIES: '0',
    });
    const opened = await bench.open(undefined, options);
    t.equal(await readText(opened, '/a'), 'one');
    t.equal(hanging.count('a'), 1);
  },
);

void t.test('what is not set is as for the others', (t) => {
  const options = optionsOf('http://127.0.0.1:1', {
    CVMFS_HTTP_PROXY: 'http://p:1',
    CVMFS_EXTERNAL_URL: 'http://e/x/',
  });
  t.equal(options.external, 'http://e/x');
  t.same(options.site?.external, { mirrors: [] });
  const given = siteOptions(
    { source: made.fqrn, external: 'http://mine', proxy: 'DIRECT' },
    { fqrn: made.fqrn, pin: undefined, urls: ['http://127.0.0.1:1'] },
    { settings: new Map() } as never,
  );
  t.equal(given.external, 'http://mine');
  t.end();
});
