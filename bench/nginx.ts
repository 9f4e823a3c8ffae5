/** nginx on loopback, with a configuration and a directory of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killGroup, start } from './process.js';

export interface Nginx {
  readonly port: number;
  /** The same files, and each answer is noted. */
  readonly notedPort: number;
  /** Paths and bytes of what was answered on `notedPort` since the last call. */
  noted(): readonly NotedAnswer[];
  close(): Promise<void>;
}

export interface NotedAnswer {
  readonly path: string;
  readonly bytes: number;
}

const startSecondsMax = 10;

/** Serves files as they lie. Ended by `close`, or with this process. */
export async function startNginx(documentRoot: string): Promise<Nginx> {
  const place = mkdtempSync(join(tmpdir(), 'pinfs-bench-nginx-'));
  const [port, notedPort] = [await freePort(), await freePort()];
  const answers = join(place, 'answers');
  writeFileSync(join(place, 'nginx.conf'), configuration({ place, documentRoot, port, notedPort }));
  const command = ['nginx', '-p', place, '-c', join(place, 'nginx.conf'), '-e', 'errors'];
  const child = start(command, 'ignore');
  const stop = (): void => killGroup(child, 'SIGKILL');
  process.once('exit', stop);
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      resolve();
    });
  });
  const close = async (): Promise<void> => {
    killGroup(child, 'SIGTERM');
    await ended;
    process.off('exit', stop);
    rmSync(place, { recursive: true, force: true });
  };
  try {
    await Promise.race([answering(port), ended.then(() => Promise.reject(new Error('nginx')))]);
  } catch (thrown) {
    const said = readFileSync(join(place, 'errors'), { encoding: 'utf8', flag: 'a+' });
    await close();
    throw new Error(`nginx did not start: ${said}`, { cause: thrown });
  }
  let read = 0;
  return {
    port,
    notedPort,
    noted() {
      const text = readFileSync(answers, 'utf8');
      const fresh = parseAnswers(text.slice(read));
      read = text.length;
      return fresh;
    },
    close,
  };
}

/** Lines of `path bytes`. */
export function parseAnswers(text: string): NotedAnswer[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [path = '', bytes = '0'] = line.split(' ');
      return { path, bytes: Number(bytes) };
    });
}

interface Configured {
  readonly place: string;
  readonly documentRoot: string;
  readonly port: number;
  readonly notedPort: number;
}

function configuration({ place, documentRoot, port, notedPort }: Configured): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const root = process.getuid?.() === 0 ? 'user root;' : '';
  return `${root}
daemon off;
worker_processes 1;
pid ${place}/pid;
events { worker_connections 1024; }
http {
  ${paths.map((name) => `${name}_temp_path ${place}/${name};`).join('\n  ')}
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  root ${documentRoot};
  log_format answers '$uri $body_bytes_sent';
  server { listen 127.0.0.1:${port} backlog=512; access_log off; }
  server { listen 127.0.0.1:${notedPort}; access_log ${place}/answers answers; }
}
`;
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function answering(port: number): Promise<void> {
  const until = performance.now() + startSecondsMax * 1000;
  for (;;) {
    try {
      await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) });
      return;
    } catch (thrown) {
      if (performance.now() > until) throw thrown;
      await sleep(20);
    }
  }
}
