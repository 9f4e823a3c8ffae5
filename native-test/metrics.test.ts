import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { pinfs } from './cli.js';
import { needsDriver } from './machine.js';
import { scene } from './scene.js';

const made = makeRepository({
  revisions: [{ tree: { 'README.md': file('read me'), 'lost.txt': file('lost') } }],
});

function metricsOf(socketPath: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: '/metrics', agent: false }, (response) => {
      let text = '';
      response.on('data', (piece) => (text += String(piece)));
      response.on('end', () => resolve(text));
    })
      .on('error', reject)
      .end();
  });
}

interface Explained {
  readonly process: string;
  readonly verdict: string;
  readonly objects: readonly { readonly way: string | null; readonly outcome: unknown }[];
}

async function setUp(t: Test) {
  const here = scene(t, 'kernel');
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  return { here, server, key };
}

void t.test('a mount that hangs can be explained', needsDriver('kernel'), async (t) => {
  const { here, server, key } = await setUp(t);
  const mountpoint = await here.mount({
    source: server.url,
    args: ['--key', key, '--deadline', '4'],
  });
  server.behave(/data/, 'hang');
  const path = join(mountpoint, 'lost.txt');
  const reading = readFile(path).catch((error: unknown) => error);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const explain = async (): Promise<Explained> => {
    const { stdout } = await pinfs(['explain', '--key', key, '--json', path]);
    return JSON.parse(stdout) as Explained;
  };
  t.match(await explain(), {
    process: 'answered',
    verdict: 'slow',
    objects: [{ here: true }, { here: false, way: server.url, outcome: { state: 'fetching' } }],
  });
  await reading;
  t.match(await explain(), { process: 'answered', objects: [{}, { outcome: { state: /./ } }] });
  const { pid = 0 } = (await here.status(mountpoint))?.status ?? {};
  process.kill(pid, 'SIGSTOP');
  try {
    t.match(await explain(), { process: 'silent', objects: [{ here: true }, { here: false }] });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});

void t.test('a mount in the background serves its metrics', needsDriver('kernel'), async (t) => {
  const { here, server, key } = await setUp(t);
  const socket = join(here.work, 'm.sock');
  const mountpoint = await here.mount({
    source: server.url,
    args: ['--key', key, '--metrics', `unix:${socket}`],
  });
  t.equal(await readFile(join(mountpoint, 'README.md'), 'utf8'), 'read me');
  const text = await metricsOf(socket);
  for (const pattern of [
    /pinfs_requests_total\{operation="LOOKUP"[^}]*\} [1-9]/,
    /pinfs_request_duration_seconds_count\{operation="LOOKUP"[^}]*\} [1-9]/,
    /pinfs_cache_misses_total\{kind="catalog"[^}]*\} [1-9]/,
    /pinfs_network_received_bytes_total\{mirror="http:[^"]*",proxy="DIRECT"[^}]*\} [1-9]/,
    /pinfs_verdict\{status="verified"[^}]*\} 1/,
    /pinfs_mount_info\{mountpoint="[^"]*",[^}]*pin="head"/,
  ])
    t.match(text, pattern);
  const other = await here.tryMount({
    source: server.url,
    at: 'other',
    args: ['--key', key, '--metrics', `unix:${socket}`],
  });
  t.match(other, { code: 1, stderr: /METRICS_UNUSABLE/ }, 'an address that another mount has');
  await here.umount(mountpoint);
  // Its process ends a moment after the mount is gone.
  for (let tries = 0; tries < 100; tries++) {
    const isThere = await metricsOf(socket).then(
      () => true,
      () => false,
    );
    if (!isThere) break;
    await delay(100);
  }
  await t.rejects(metricsOf(socket), 'they end with the mount');
});
