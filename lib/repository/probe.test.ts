import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { file, makeRepository } from '../publish/write-repository.js';
import { startBadServer } from '../testing/servers/bad-server.js';
import { startForwardProxy } from '../testing/servers/forward-proxy.js';
import { probeSource, type ProbeProgress } from './probe.js';

void t.test(
  'each mirror through each proxy: who answers, with what, and what is wrong',
  async (t) => {
    const work = mkdtempSync(join(tmpdir(), 'pinfs-probe-'));
    const tree = { file: file('x') };
    const made = makeRepository({ revisions: [{ tree }, { tree: { ...tree, more: file('y') } }] });
    writeFileSync(join(work, 'key.pub'), made.masterKey);
    const older = new Map(made.files);
    const [before] = made.revisions;
    if (before !== undefined) older.set('.cvmfspublished', before.manifest);
    const servers = [
      await startBadServer(made.files, made.fqrn),
      await startBadServer(older, made.fqrn),
      await startBadServer(made.files, made.fqrn),
    ];
    const [good, lagging, broken] = servers;
    broken?.behave('.cvmfspublished', 'html');
    const proxies = [await startForwardProxy(), await startForwardProxy()];
    t.teardown(async () => {
      for (const one of [...servers, ...proxies]) await one.close();
      rmSync(work, { recursive: true, force: true });
    });
    proxies[1]?.behave({ status: 403 });
    const options = {
      source: good?.url ?? '',
      mirrors: [lagging?.url ?? '', broken?.url ?? ''],
      proxy: `${proxies.map(({ url }) => url).join(';')};DIRECT`,
      cache: join(work, 'cache'),
      keys: [join(work, 'key.pub')],
    };
    const environment = { variables: {}, now: () => new Date('2030-06-01T00:00:00Z') };
    const told: ProbeProgress[] = [];
    const report = await probeSource(options, environment, (progress) => told.push(progress));
    t.match(told[0], { done: 0, ways: 9, waiting: [new RegExp(`^${good?.url ?? ''}`)] });
    t.same(told.at(-1), { done: 9, ways: 9, waiting: [] });
    t.equal(report.ways.length, 9);
    t.equal(report.newest, 2);
    const found = report.ways.map(({ mirror, proxy, answers, revision, error }) => [
      servers.findIndex(({ url }) => url === mirror),
      proxies.findIndex(({ url }) => url === proxy),
      answers,
      revision,
      error?.code,
    ]);
    const whole = (index: number, revision: number | null, code?: string): unknown[] => [
      [index, 0, true, revision, code],
      [index, 1, false, null, 'SOURCE_STATUS'],
      [index, -1, true, revision, code],
    ];
    t.same(found, [...whole(0, 2), ...whole(1, 1), ...whole(2, null, 'MANIFEST_MALFORMED')]);
    const [first, second, third] = report.ways;
    t.match(first, {
      place: 1,
      whitelistAge: Number,
      whitelistExpires: String,
      milliseconds: Number,
      bytesPerSecond: Number,
    });
    t.match(
      second?.error?.message,
      new RegExp(`${good?.url ?? ''}.* through ${proxies[1]?.url ?? ''}`),
    );
    t.equal(second?.bytesPerSecond, null);
    t.equal(third?.proxy, 'DIRECT');
  },
);

void t.test('a mirror is a URL, beside one of the same kind', async (t) => {
  const environment = { variables: {}, now: () => new Date() };
  const probed = (source: string, mirror: string): Promise<unknown> =>
    probeSource({ source, mirrors: [mirror], cache: t.testdir({}) }, environment);
  await t.rejects(probed(t.testdir({}), 'http://a/x'), { code: 'USAGE' });
  await t.rejects(probed('http://127.0.0.1:1/made.example.org', '/srv/x'), { code: 'USAGE' });
});
