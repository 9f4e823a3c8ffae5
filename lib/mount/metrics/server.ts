import { chmodSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { errorReason } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { parseMetricsAddress, type MetricsAddress } from './address.js';

/** The metrics as Prometheus reads them, and what kind of text that is. */
export interface MetricsText {
  readonly type: string;
  readonly text: string;
}

export interface MetricsServer {
  /** Where they are to be had, such as `http://127.0.0.1:9100/metrics`. */
  readonly place: string;
  close(): Promise<void>;
}

// Of those who ask, and how long one may take for it (ms).
const callersMax = 16;
const requestMsMax = 5_000;

/**
 * Serves the metrics of one mount over HTTP, at `/metrics`. @param metrics undefined: it is not mounted yet.
 * @throws PinfsError USAGE (no such address), METRICS_UNUSABLE.
 */
export async function serveMetrics(
  asked: { readonly metrics: string; readonly public?: boolean | undefined },
  metrics: () => Promise<MetricsText> | undefined,
): Promise<MetricsServer> {
  const isPublic = asked.public === true;
  const address = parseMetricsAddress(asked.metrics, isPublic);
  const server = createServer((request, response) => {
    void answer(request, response, metrics);
  });
  server.maxConnections = callersMax;
  server.requestTimeout = requestMsMax;
  server.headersTimeout = requestMsMax;
  server.setTimeout(requestMsMax);
  try {
    await listen(server, address);
    if (address.kind === 'unix') chmodSync(address.path, isPublic ? 0o666 : 0o600);
  } catch (thrown) {
    server.close();
    throw new PinfsError(
      'METRICS_UNUSABLE',
      `can't serve metrics at ${asked.metrics}: ${errorReason(thrown)}`,
      { advice: 'Each mount needs an address of its own.', cause: thrown },
    );
  }
  // It serves as long as the mount does, and keeps nothing alive.
  server.unref();
  return {
    place: placeOf(server, address),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function placeOf(server: Server, address: MetricsAddress): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  // With port 0 the machine chooses one.
  const { port } = server.address() as AddressInfo;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return `http://${host}:${port}/metrics`;
}

async function listen(server: Server, address: MetricsAddress): Promise<void> {
  if (address.kind === 'unix') await clearDead(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const listening = (): void => {
      server.off('error', reject);
      server.on('error', () => undefined);
      resolve();
    };
    if (address.kind === 'unix') server.listen(address.path, listening);
    else server.listen(address.port, address.host, listening);
  });
}

/** A socket that a process left when it was killed. */
async function clearDead(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const isDead = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
  });
  if (isDead) rmSync(path, { force: true });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  metrics: () => Promise<MetricsText> | undefined,
): Promise<void> {
  const say = (status: number, text: string, type = 'text/plain; charset=utf-8'): void => {
    response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  try {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      say(405, 'only GET\n');
      return;
    }
    if (request.url?.split('?', 1)[0] !== '/metrics') {
      say(404, 'see /metrics\n');
      return;
    }
    const known = metrics();
    if (known === undefined) {
      say(503, 'just being mounted\n');
      return;
    }
    const { text, type } = await known;
    say(200, text, type);
  } catch (thrown) {
    say(500, `${errorReason(thrown)}\n`);
  }
}
