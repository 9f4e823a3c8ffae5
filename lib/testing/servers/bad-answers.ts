import type { IncomingMessage, ServerResponse } from 'node:http';

/** What a server does to one request. */
export type Behaviour =
  | 'good'
  /** 404 though it is there. */
  | 'missing'
  /** 500. */
  | 'error'
  /** Never answers. */
  | 'hang'
  /** Sends the headers, then nothing. */
  | 'hang-in-body'
  /** One byte every few milliseconds. */
  | 'drip'
  /** Announces everything, sends half, closes the connection. */
  | 'truncated'
  /** Half of the content as a whole answer. */
  | 'shortened'
  /** 100 bytes more than there are, announced as such. */
  | 'garbage'
  /** As long as it should be, with one bit flipped. */
  | 'bit-flipped'
  /** As long as it should be, all of it other bytes. */
  | 'wrong-content'
  | 'empty'
  /** A login page with status 200. */
  | 'html'
  | 'redirect-loop'
  /** The connection is reset before any answer. */
  | 'reset'
  /** Announces less than it sends, on a connection that is kept. */
  | 'length-too-small'
  /** Announces 10^12 bytes and sends what there is. */
  | 'length-huge'
  /** No Content-Length; bytes without end. */
  | 'endless'
  /** No Content-Length, chunked. */
  | 'chunked'
  /** Content-Encoding: gzip. */
  | 'encoded'
  /** Bytes that are no HTTP. */
  | 'not-http'
  /** Headers without end. */
  | 'endless-headers'
  /** The good answer, then the connection is closed though it said keep-alive. */
  | 'close-after'
  /** The whole file for a range. */
  | 'ignore-range'
  /** Another range than asked for. */
  | 'wrong-range'
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** The good answer, so many bytes a second. */
  | { readonly rate: number }
  /** The good answer once the promise is settled. */
  | { readonly after: Promise<unknown> };

/** A request, the good answer to it, and where timers are kept that the server ends when it closes. */
export interface Context {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Undefined: it isn't there. */
  readonly content: Buffer | undefined;
  readonly timers: Set<NodeJS.Timeout>;
}

export function misbehave(context: Context, behaviour: Behaviour): void {
  const { response } = context;
  if (typeof behaviour === 'string') {
    const content = context.content ?? Buffer.from('not there');
    const half = content.subarray(0, Math.floor(content.length / 2));
    answers[behaviour](context, content, half);
  } else if ('rate' in behaviour) {
    slowly(context, behaviour.rate);
  } else if ('after' in behaviour) {
    const resume = (): void => good(context);
    void behaviour.after.then(resume, resume);
  } else {
    response.writeHead(behaviour.status, { 'Content-Length': 0, ...behaviour.headers });
    response.end();
  }
}

type Act = (context: Context, content: Buffer, half: Buffer) => void;
type Named = Extract<Behaviour, string>;

const announce = (length: number): string => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;

// Answers that an HTTP library would not send are written to the socket.
const answers: Record<Named, Act> = {
  good: (context) => good(context),
  missing: ({ response }) => send(response, 404, Buffer.from('not found\n')),
  error: ({ response }) => send(response, 500, Buffer.from('internal error\n')),
  hang: () => undefined,
  'hang-in-body': ({ request }, content) => request.socket.write(announce(content.length)),
  drip(context, content) {
    let sent = 0;
    context.request.socket.write(announce(content.length));
    repeat(context, () => context.request.socket.write(content.subarray(sent, ++sent)));
  },
  truncated({ request }, content, half) {
    request.socket.write(announce(content.length));
    request.socket.end(half);
  },
  shortened: ({ response }, _, half) => send(response, 200, half),
  garbage: ({ response }, content) =>
    send(response, 200, Buffer.concat([content, Buffer.alloc(100, 'garbage')])),
  'bit-flipped': ({ response }, content, half) =>
    send(
      response,
      200,
      changed(content, (byte, at) => (at === half.length ? byte ^ 1 : byte)),
    ),
  'wrong-content': ({ response }, content) =>
    send(
      response,
      200,
      changed(content, (byte) => byte ^ 0x55),
    ),
  empty: ({ response }) => send(response, 200, Buffer.alloc(0)),
  html: ({ response }) => send(response, 200, loginPage, { 'Content-Type': 'text/html' }),
  'redirect-loop': ({ request, response }) =>
    send(response, 302, Buffer.alloc(0), { Location: request.url ?? '/' }),
  reset: ({ request }) => request.socket.resetAndDestroy(),
  'length-too-small'({ request }, content, half) {
    request.socket.write(announce(half.length));
    request.socket.write(content);
  },
  'length-huge'({ request }, content) {
    request.socket.write(announce(1e12));
    request.socket.write(content);
  },
  endless(context) {
    const { socket } = context.request;
    socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
    repeat(context, () => socket.writableLength === 0 && socket.write(Buffer.alloc(65_536)));
  },
  chunked({ response }, content) {
    response.writeHead(200);
    response.write(content.subarray(0, 1));
    response.end(content.subarray(1));
  },
  encoded: ({ response }, content) => send(response, 200, content, { 'Content-Encoding': 'gzip' }),
  'not-http': ({ request }) => request.socket.end('220 mail.example.org ESMTP\r\n'),
  'endless-headers'(context) {
    const { socket } = context.request;
    socket.write('HTTP/1.1 200 OK\r\n');
    const line = `X: ${'x'.repeat(60_000)}\r\n`;
    repeat(context, () => socket.writableLength === 0 && socket.write(line));
  },
  'close-after'({ request }, content) {
    request.socket.write(announce(content.length));
    request.socket.end(content);
  },
  'ignore-range': ({ response }, content) => send(response, 200, content),
  'wrong-range': ({ response }, content, half) =>
    send(response, 206, half, { 'Content-Range': `bytes 1-${half.length}/${content.length}` }),
};

function slowly(context: Context, rate: number): void {
  const { request, content = Buffer.alloc(0) } = context;
  request.socket.write(announce(content.length));
  const began = performance.now();
  let sent = 0;
  repeat(context, () => {
    const due = Math.min(content.length, Math.floor(((performance.now() - began) * rate) / 1000));
    if (due > sent) request.socket.write(content.subarray(sent, due));
    sent = Math.max(sent, due);
  });
}

/** Every few milliseconds, until the connection or the server is closed. */
function repeat({ request, timers }: Context, step: () => unknown): void {
  const timer = setInterval(() => {
    if (request.socket.destroyed) {
      clearInterval(timer);
      timers.delete(timer);
    } else step();
  }, 5);
  timers.add(timer);
}

const loginPage = Buffer.from(
  '<!DOCTYPE html><html><head><title>Sign in</title></head><body>Welcome to the guest network' +
    '<form action="/login"><input name="user"><input type="password"></form></body></html>\n',
);

function changed(content: Buffer, change: (byte: number, at: number) => number): Buffer {
  return Buffer.from(content.map((byte, at) => change(byte, at)));
}

function good({ request, response, content }: Context): void {
  if (content === undefined) {
    send(response, 404, Buffer.from('not found\n'));
    return;
  }
  const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
  if (range === null) {
    send(response, 200, request.method === 'HEAD' ? Buffer.alloc(0) : content);
    return;
  }
  const start = Number(range[1]);
  const part = content.subarray(start, Number(range[2]) + 1);
  if (part.length === 0) {
    send(response, 416, Buffer.alloc(0), { 'Content-Range': `bytes */${content.length}` });
    return;
  }
  const end = start + part.length - 1;
  send(response, 206, part, { 'Content-Range': `bytes ${start}-${end}/${content.length}` });
}

function send(
  response: ServerResponse,
  status: number,
  body: Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'Content-Length': body.length, ...headers });
  response.end(body);
}
