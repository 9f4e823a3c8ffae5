/** A plain forwarding HTTP proxy on loopback, for tests: it forwards, caches nothing, and misbehaves where told so. */
import { once } from 'node:events';
import {
  createServer,
  request as ask,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';

/** What a proxy does to each request from now on. */
export type ProxyFault =
  | 'good'
  /** Takes the connection, and says nothing ever. */
  | 'freeze'
  /** Resets each connection. */
  | 'reset'
  /** Forwards, with one bit of each body flipped. */
  | 'bit-flipped'
  /** The same, but not where a fresh copy is asked for: what it has in its cache is damaged. */
  | 'stale-cache'
  /** A page for people with status 200. */
  | 'html'
  /** Announces everything and sends half. */
  | 'truncated'
  /** Says that it can't reach the server, as Squid does. */
  | 'squid-error'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Answers so many milliseconds later. */
  | { readonly delayMs: number };

export interface ForwardProxy {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  readonly port: number;
  /** URLs that were asked for, and `CONNECT host:port`. */
  readonly requests: string[];
  /** What it was asked with last. */
  readonly headers: IncomingHttpHeaders;
  behave(fault: ProxyFault): void;
  /** Ends all connections; nobody listens there any more. */
  close(): Promise<void>;
}

export async function startForwardProxy(port = 0): Promise<ForwardProxy> {
  const requests: string[] = [];
  let headers: IncomingHttpHeaders = {};
  let fault: ProxyFault = 'good';
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((request, response) => {
    requests.push(request.url ?? '');
    ({ headers } = request);
    response.on('error', () => undefined);
    if (typeof fault === 'object' && 'delayMs' in fault) {
      timers.add(setTimeout(() => forward(request, response, 'good'), fault.delayMs));
    } else forward(request, response, fault);
  });
  server.on('connection', keep);
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    requests.push(`CONNECT ${request.url ?? ''}`);
    ({ headers } = request);
    if (fault === 'freeze') return;
    if (fault !== 'good') {
      socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n');
      return;
    }
    const to = new URL(`http://${request.url ?? ''}`);
    const target = connect(Number(to.port), to.hostname, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(socket);
      socket.pipe(target);
    });
    keep(target);
    target.on('error', () => socket.destroy());
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address of this form.
  const address = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    requests,
    get headers() {
      return headers;
    },
    behave(next) {
      fault = next;
    },
    async close() {
      for (const timer of timers) clearTimeout(timer);
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Exclude<ProxyFault, { readonly delayMs: number }>,
): void {
  if (fault === 'freeze') return;
  if (fault === 'reset') {
    request.socket.resetAndDestroy();
    return;
  }
  if (typeof fault === 'object') {
    answer(response, fault.status, Buffer.alloc(0), fault.headers);
    return;
  }
  if (fault === 'squid-error') {
    answer(response, 503, Buffer.from('<html>'), { 'X-Squid-Error': 'ERR_CONNECT_FAIL 111' });
    return;
  }
  if (fault === 'html') {
    answer(response, 200, Buffer.from('<html><title>Sign in</title></html>'.repeat(20)));
    return;
  }
  const isFresh = request.headers['cache-control'] === 'no-cache';
  const isFlipped = fault === 'bit-flipped' || (fault === 'stale-cache' && !isFresh);
  const up = ask(request.url ?? '', { headers: request.headers, agent: false }, (from) => {
    const pieces: Buffer[] = [];
    from.on('data', (piece: Buffer) => pieces.push(piece));
    from.on('error', () => response.destroy());
    from.on('end', () => {
      const body = Buffer.concat(pieces);
      const middle = body.length >> 1;
      if (fault === 'truncated') {
        request.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
        request.socket.end(body.subarray(0, middle));
        return;
      }
      const old = body[middle];
      if (isFlipped && old !== undefined) body[middle] = old ^ 1;
      answer(response, from.statusCode ?? 502, body);
    });
  });
  up.on('error', () =>
    answer(response, 502, Buffer.from('no answer'), { 'X-Squid-Error': 'ERR_READ_ERROR 104' }),
  );
  up.end();
}

function answer(
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'Content-Length': body.length, ...headers });
  response.end(body);
}
