/**
 * `node dist/bench/nodes.js [--nodes N] [--files N] [--at-once N] [--mount-seconds N]`: N mounts of one pin, each with an
 * empty cache of its own as on N nodes, start the same job (`tar` of all) at once, through one Squid. They are mounted
 * before, some at a time, and no more once that took so long. Prints the requests that reached the origin, and when the
 * first and the last node were done. Run it as root, where nginx and squid are; a mount takes 0.1 GB of memory.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { mount, pinfs, type Mounted } from './client.js';
import { freePort, startNginx } from './nginx.js';
import { killGroup, shell, start, timed } from './process.js';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '200' },
    files: { type: 'string', default: '200' },
    'at-once': { type: 'string', default: '4' },
    'mount-seconds': { type: 'string', default: '3600' },
  },
});

const fileBytes = 30_000;
const listensMsMax = 20_000;
const jobSecondsMax = 900;

interface Squid {
  readonly port: number;
  stop(): void;
}

/** As sites run it: equal requests that come at once become one. */
async function startSquid(directory: string): Promise<Squid> {
  const port = await freePort();
  const path = join(directory, 'squid.conf');
  writeFileSync(
    path,
    `http_port 127.0.0.1:${port}
http_access allow all
cache_mem 256 MB
maximum_object_size_in_memory 4 MB
collapsed_forwarding on
access_log none
cache_log /dev/null
cache_store_log none
pid_filename none
pinger_enable off
visible_hostname proxy.example.org
shutdown_lifetime 0 seconds
# What is published is good for a while, as its servers say at real sites.
refresh_pattern . 5 20% 4320
`,
  );
  const child = start(['squid', '-N', '-f', path], 'ignore');
  const stop = (): void => killGroup(child, 'SIGKILL');
  process.once('exit', stop);
  for (const end = performance.now() + listensMsMax; performance.now() < end;) {
    if (await listens(port)) return { port, stop };
    await sleep(50);
  }
  throw new Error('squid does not listen');
}

async function listens(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

async function main(): Promise<void> {
  const nodes = Number(values.nodes);
  // Each command ends with this process.
  process.setMaxListeners(0);
  const work = mkdtempSync(join(tmpdir(), 'pinfs-nodes-'));
  const names = Array.from({ length: Number(values.files) }, (_, at) => `file${at}`);
  const content = () => file(randomBytes(fileBytes / 2).toString('hex'));
  const tree = Object.fromEntries(names.map((name) => [name, content()]));
  const made = makeRepository({ revisions: [{ tree, tags: { v1: '' } }] });
  made.writeTo(join(work, 'root'));
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const nginx = await startNginx(join(work, 'root'));
  const squid = await startSquid(work);
  const proxy = `--proxy http://127.0.0.1:${squid.port}`;
  const client = {
    ...pinfs,
    command: pinfs.command
      .replace(' mount ', ' mount --foreground ')
      .replace('{url}@{hash}', '{url}@{tag}')
      .replace('--key', `${proxy} --deadline ${jobSecondsMax} --key`),
  };
  const mounted: Mounted[] = [];
  const began = performance.now();
  const isTime = (): boolean => performance.now() - began < 1000 * Number(values['mount-seconds']);
  let next = 0;
  const mounting = async (): Promise<void> => {
    while (next < nodes && isTime()) {
      const at = join(work, `node${next++}`);
      mkdirSync(at);
      mounted.push(
        await mount(client, {
          url: `http://127.0.0.1:${nginx.notedPort}/${made.fqrn}`,
          cache: join(at, 'cache'),
          mnt: join(at, 'mnt'),
          key,
          hash: '',
          tag: 'v1',
          fqrn: made.fqrn,
        }),
      );
    }
  };
  try {
    await Promise.all(Array.from({ length: Number(values['at-once']) }, mounting));
    const ready = performance.now();
    const job = async ({ path }: Mounted): Promise<number> => {
      const tar = shell(`tar -cf - -C '${path}' . | cat > /dev/null`);
      await timed(tar, { secondsMax: jobSecondsMax });
      return performance.now() - ready;
    };
    const done = await Promise.all(mounted.map(job));
    const asked = nginx.noted();
    const once = new Set(asked.map(({ path }) => path)).size;
    const seconds = (ms: number): string => (ms / 1000).toFixed(1);
    process.stdout.write(
      `${mounted.length} nodes, mounted within ${seconds(ready - began)} s, ${names.length} files of ${fileBytes} bytes: ${asked.length} requests at the origin for ${once} paths; first node after ${seconds(Math.min(...done))} s, last after ${seconds(Math.max(...done))} s\n`,
    );
    while (mounted.length > 0)
      await Promise.all(mounted.splice(0, Number(values['at-once'])).map((one) => one.unmount()));
  } finally {
    squid.stop();
    await nginx.close();
    rmSync(work, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }
}

await main();
