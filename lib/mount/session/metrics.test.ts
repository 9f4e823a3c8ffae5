import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { addWayTraffic, countFirstByte } from '../../source/http/way-traffic.js';
import {
  stubDriver,
  stubRepository,
  stubVerdict,
  temporaryDirectory,
} from '../../testing/fakes/stub-mount.js';
import { checkout } from '../../testing/genuine.js';
import { mountStatus } from './status.js';
import { parseMetricsAddress } from '../metrics/address.js';
import { histogramRows } from './histogram-rows.js';
import { metricRows, type MetricFacts } from './metric-rows.js';
import { serveMetrics, type MetricsText } from '../metrics/server.js';
import { metricsText } from './metrics-text.js';

async function facts(): Promise<MetricFacts> {
  const mounted = await stubDriver().mount({ mountpoint: '/mnt/a' } as never);
  const status = mountStatus({
    state: 'running',
    mountpoint: '/mnt/a\n"b"\\',
    since: '2020-01-01T00:00:00.000Z',
    driver: 'kernel',
    device: '0:40',
    repository: stubRepository({ pinned: false }),
    statistics: mounted.statistics,
    head: { lastCheck: '2020-01-01T00:01:00.000Z', nextCheck: null, lastProblem: null },
    previous: [],
    log: null,
  });
  const traffic = { ...status.traffic };
  const way = addWayTraffic(traffic, 'http://mirror/cvmfs/x', 'http://proxy:3128');
  way.errors['SOURCE_TIMEOUT'] = 2;
  countFirstByte(way, 7);
  countFirstByte(way, 70_000);
  return {
    status: {
      ...status,
      traffic,
      ahead: { asked: 5, askedBytes: 500, used: 3, usedBytes: 300 },
      verdict: stubVerdict({
        whitelist: { created: '2019-12-31T23:00:00Z', expires: '2020-02-01T00:00:00Z' },
      }),
    },
    latencies: { READ: { counts: [3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], microseconds: 5e6 } },
    now: Date.parse('2020-01-01T00:02:00.000Z'),
    version: '1.2.3',
    cpuSeconds: 1.5,
  };
}

void t.test('each metric has a help, and a name as Prometheus wants it', async (t) => {
  const { text } = await metricsText(await facts());
  for (const { name, kind, help } of metricRows) {
    t.match(text, `# HELP ${name} ${help}`);
    t.equal(name.endsWith('_total'), kind === 'counter', name);
    t.match(help, /^.{10,}\.$/, name);
  }
  const names = [...metricRows, ...histogramRows].map(({ name }) => name);
  t.equal(new Set(names).size, names.length, 'no name is given twice');
});

void t.test('what was counted is written', async (t) => {
  const { text } = await metricsText(await facts());
  const repository = 'repository="test.example.org"';
  for (const line of [
    `pinfs_requests_total{operation="LOOKUP",${repository}} 5`,
    `pinfs_cache_hits_total{kind="catalog",${repository}} 1`,
    `pinfs_cache_hits_total{kind="content",${repository}} 2`,
    `pinfs_network_errors_total{code="SOURCE_TIMEOUT",mirror="http://mirror/cvmfs/x",proxy="http://proxy:3128",${repository}} 2`,
    `pinfs_revision{${repository}} 7`,
    `pinfs_verdict{status="verified",${repository}} 1`,
    `pinfs_verdict{status="offline",${repository}} 0`,
    `pinfs_whitelist_age_seconds{${repository}} 3720`,
    `pinfs_head_refresh_age_seconds{${repository}} 60`,
    `pinfs_ahead_used_bytes_total{${repository}} 300`,
  ])
    t.ok(text.includes(`${line}\n`), line);
  t.match(text, /pinfs_request_duration_seconds_bucket\{[^}]*le="0\.000016"[^}]*\} 3\n/);
  t.match(text, /pinfs_request_duration_seconds_bucket\{[^}]*le="\+Inf"[^}]*\} 6\n/);
  t.match(text, /pinfs_network_first_byte_seconds_bucket\{[^}]*le="30"[^}]*\} 1\n/);
  t.match(text, /pinfs_network_first_byte_seconds_count\{[^}]*\} 2\n/);
  t.match(text, /mountpoint="\/mnt\/a/);
});

const promtool = ['/usr/bin/promtool', '/usr/local/bin/promtool'].find((path) => existsSync(path));

void t.test(
  'promtool finds nothing to say',
  { skip: promtool === undefined && 'there is no promtool here' },
  async (t) => {
    const { text } = await metricsText(await facts());
    const { status, stdout, stderr } = spawnSync(promtool ?? '', ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
      timeout: 60_000,
    });
    t.equal(stdout + stderr, '');
    t.equal(status, 0);
  },
);

void t.test('the dashboard asks for metrics that exist', (t) => {
  const path = join(checkout, 'share', 'grafana', 'pinfs.json');
  const dashboard = JSON.parse(readFileSync(path, 'utf8')) as {
    readonly panels: readonly {
      readonly title: string;
      readonly targets: readonly { readonly expr: string }[];
    }[];
  };
  const known = new Set([
    ...metricRows.map(({ name }) => name),
    ...histogramRows.flatMap(({ name }) => ['_bucket', '_sum', '_count'].map((end) => name + end)),
  ]);
  const asked = new Set<string>();
  for (const { title, targets } of dashboard.panels) {
    for (const { expr } of targets) {
      const names = expr.match(/\b(?:pinfs|process)_\w+/g) ?? [];
      t.ok(names.length > 0, title);
      for (const name of names) {
        t.ok(known.has(name), `${title}: ${name}`);
        asked.add(name);
      }
    }
  }
  t.ok(asked.size > 20);
  t.end();
});

void t.test('only loopback and sockets of the owner, unless it is said', (t) => {
  const refused = (text: string, isPublic = false): void => {
    t.throws(() => parseMetricsAddress(text, isPublic), { code: 'USAGE' }, text);
  };
  for (const text of ['0.0.0.0:9100', '192.0.2.1:9100', '[::]:9100', '[2001:db8::1]:9100'])
    refused(text);
  for (const text of ['', '9100', ':9100', 'example.org:9100', '127.0.0.1', '127.0.0.1:99999'])
    refused(text, true);
  for (const text of ['unix:', 'unix:here.sock', `unix:/${'x'.repeat(107)}`, '300.0.0.1:1'])
    refused(text, true);
  const port = { kind: 'port', port: 9100 };
  t.same(parseMetricsAddress('127.0.0.1:9100', false), { ...port, host: '127.0.0.1' });
  t.same(parseMetricsAddress('localhost:9100', false), { ...port, host: '127.0.0.1' });
  t.same(parseMetricsAddress('[::1]:9100', false), { ...port, host: '::1' });
  t.same(parseMetricsAddress('0.0.0.0:9100', true), { ...port, host: '0.0.0.0' });
  t.same(parseMetricsAddress('unix:/run/x', false), { kind: 'unix', path: '/run/x' });
  t.end();
});

interface Asked {
  readonly status: number | undefined;
  readonly text: string;
}

function ask(at: object, path = '/metrics', method = 'GET'): Promise<Asked> {
  return new Promise((resolve, reject) => {
    request({ ...at, path, method, agent: false }, (response) => {
      let text = '';
      response.on('data', (piece) => (text += String(piece)));
      response.on('end', () => resolve({ status: response.statusCode, text }));
    })
      .on('error', reject)
      .end();
  });
}

void t.test('they are served on a port', async (t) => {
  let known: MetricFacts | undefined;
  const text = (): Promise<MetricsText> | undefined =>
    known === undefined ? undefined : metricsText(known);
  const server = await serveMetrics({ metrics: '127.0.0.1:0' }, text);
  const { hostname: host, port } = new URL(server.place);
  t.match(await ask({ host, port }), { status: 503 }, 'not mounted yet');
  known = await facts();
  t.match(await ask({ host, port }), { status: 200, text: /pinfs_requests_total/ });
  t.match(await ask({ host, port }, '/'), { status: 404 });
  t.match(await ask({ host, port }, '/metrics', 'POST'), { status: 405 });
  await t.rejects(serveMetrics({ metrics: `127.0.0.1:${port}` }, text), {
    code: 'METRICS_UNUSABLE',
  });
  known = new Proxy(known, {
    get: () => {
      throw new PinfsError('INTERNAL', 'broken');
    },
  });
  t.match(await ask({ host, port }), { status: 500 }, 'a fault ends one answer');
  await server.close();
  await t.rejects(ask({ host, port }));
});

void t.test('they are served on a socket, and a dead one is no hindrance', async (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const socketPath = join(path, 'metrics.sock');
  const metrics = `unix:${socketPath}`;
  const known = await facts();
  const text = () => metricsText(known);
  const server = await serveMetrics({ metrics }, text);
  t.equal(statSync(socketPath).mode & 0o777, 0o600);
  t.match(await ask({ socketPath }), { status: 200 });
  await t.rejects(serveMetrics({ metrics }, text), { code: 'METRICS_UNUSABLE' }, 'it is in use');
  await server.close();
  t.notOk(existsSync(socketPath));
  // As after kill -9: the file is there, and nobody listens.
  const program = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', program, socketPath]);
  t.ok(existsSync(socketPath));
  const again = await serveMetrics({ metrics, public: true }, text);
  t.equal(statSync(socketPath).mode & 0o777, 0o666);
  t.match(await ask({ socketPath }), { status: 200 });
  await again.close();
});
