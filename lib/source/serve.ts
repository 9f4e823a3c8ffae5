import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { statSync, realpathSync, type Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { errorCode } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';
import { fromText, printable, type ByteString } from '../format/bytes.js';
import { startRelay } from './relay.js';
import { findRepositories } from './repositories-below.js';
import { openBelow, type Links } from './directory.js';

export interface ServeOptions {
  /** 0, the default: any free one. */
  readonly port?: number;
  /** Default: the loopback address, so that nobody else can connect. */
  readonly host?: string;
  /** Also serves what symbolic links lead to outside of the directory. */
  readonly followLinks?: boolean;
  /** Added to each round trip, as on a long way (ms). */
  readonly roundTripMs?: number;
  /** Bytes a second that go out over all connections together, as on a slow line. */
  readonly bytesPerSecond?: number;
}

export interface RunningServer {
  /** Without a slash at its end; a repository is at `url/<fqrn>`. */
  readonly url: string;
  readonly port: number;
  /** The repositories that lay there at the start: each is at `url/<this>`. */
  readonly repositories: readonly ByteString[];
  close(): Promise<void>;
}

const greeting =
  'pinfs serves CernVM-FS repositories here; mount one from <this address>/<name>.\n';

/**
 * Serves the files below a directory over HTTP: GET and HEAD, keep-alive, ETag, single ranges. No
 * listings, and nothing outside the directory unless links may lead there. A directory that is a repository
 * itself is served below its name.
 * @throws PinfsError SOURCE_UNREACHABLE (no such directory), USAGE (the address can't be had).
 */
export async function serve(directory: string, options: ServeOptions = {}): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 0, roundTripMs = 0, bytesPerSecond } = options;
  const root = rootOf(directory);
  const { repositories, itself } = findRepositories(root);
  const tree: Tree = {
    root,
    links: options.followLinks === true ? 'all' : 'inside',
    prefix: itself === undefined ? '/' : `/${itself}/`,
  };
  const server = createServer((request, response) => {
    answer(tree, request, response).catch(() => response.destroy());
  });
  const isFar = roundTripMs > 0 || bytesPerSecond !== undefined;
  const address = isFar ? { host: '127.0.0.1', port: 0 } : { host, port };
  await listening(async () => {
    server.listen(address);
    await once(server, 'listening');
  });
  const close = async (): Promise<void> => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  // A server that listens on TCP has an address of this form.
  const own = server.address() as AddressInfo;
  if (!isFar) return { url: urlOf(own.address, own.port), port: own.port, repositories, close };
  const relay = await listening(
    () =>
      startRelay(own.port, roundTripMs / 2, {
        listen: { host, port },
        ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      }),
    close,
  );
  return {
    url: urlOf(host, relay.port),
    port: relay.port,
    repositories,
    async close() {
      await relay.close();
      await close();
    },
  };
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** @throws PinfsError USAGE: the address can't be had; what was opened before is closed by `undo`. */
async function listening<T>(work: () => Promise<T>, undo?: () => Promise<void>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    await undo?.();
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PinfsError('USAGE', `can't serve: ${reason}`, {
      advice: adviceFor(errorCode(thrown)),
      cause: thrown,
    });
  }
}

function adviceFor(code: string | undefined): string {
  if (code === 'EADDRINUSE') return 'Choose another --port, or leave it out for any free one.';
  if (code === 'EACCES') return 'Ports below 1024 are for root; choose a --port above.';
  return 'Give --host an address of this machine (`ip address` lists them).';
}

/** What is served. */
interface Tree {
  readonly root: Buffer;
  readonly links: Links;
  /** Begins each path: a slash, behind it the name of the one repository, if it is one. */
  readonly prefix: ByteString;
}

function rootOf(directory: string): Buffer {
  try {
    if (statSync(directory).isDirectory()) return realpathSync(directory, 'buffer');
  } catch {
    // Said below.
  }
  const shown = printable(fromText(directory));
  throw new PinfsError('SOURCE_UNREACHABLE', `${shown}: there is no such directory`, {
    advice: 'Give the directory that holds the repositories.',
  });
}

async function answer(
  { root, links, prefix }: Tree,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume();
  const { method } = request;
  if (method !== 'GET' && method !== 'HEAD') {
    plain(response, 405, 'only GET and HEAD\n', { Allow: 'GET, HEAD' });
    return;
  }
  const path = decodePath(request.url ?? '');
  if (path === '/') {
    plain(response, 200, method === 'HEAD' ? '' : greeting);
    return;
  }
  let handle: FileHandle | undefined;
  try {
    const below = path?.startsWith(prefix) === true ? path.slice(prefix.length - 1) : '';
    handle = await openBelow(root, below, '', links);
    const status = await handle.stat();
    if (!status.isFile()) plain(response, 404, 'not found\n');
    else await sendFile(handle, status, request, response);
  } catch {
    if (!response.headersSent) plain(response, 404, 'not found\n');
    else response.destroy();
  } finally {
    await handle?.close().catch(() => undefined);
  }
}

/** The path of a request as bytes; undefined if it isn't one. */
function decodePath(url: string): string | undefined {
  const path = url.replace(/[?#].*$/s, '');
  if (/%(?![0-9A-Fa-f]{2})/.test(path)) return undefined;
  return path
    .replace(/\/{2,}/g, '/')
    .replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function plain(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  });
  response.end(text);
}

async function sendFile(
  handle: FileHandle,
  status: Stats,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { size } = status;
  const etag = `"${status.ino.toString(36)}-${size.toString(36)}-${status.mtimeMs.toString(36)}"`;
  const headers = {
    'Content-Type': 'application/octet-stream',
    'Accept-Ranges': 'bytes',
    ETag: etag,
  };
  if (request.headers['if-none-match']?.split(/, */).some((tag) => tag === etag || tag === '*')) {
    response.writeHead(304, headers);
    response.end();
    return;
  }
  const range = parseRange(request.headers.range, size);
  if (range === 'unsatisfiable') {
    plain(response, 416, 'no such range\n', { 'Content-Range': `bytes */${size}` });
    return;
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    'Content-Length': end - start + 1,
    ...(range === undefined ? {} : { 'Content-Range': `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === 'HEAD' || end < start) response.end();
  else if (end - start < wholeBytesMax) {
    const bytes = Buffer.allocUnsafe(end - start + 1);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    // A file that shrank meanwhile: closing tells the client that the answer is not whole.
    if (bytesRead === bytes.length) response.end(bytes);
    else response.destroy();
  } else {
    await pipeline(handle.createReadStream({ start, end, autoClose: false }), response);
  }
}

/** Up to this size a file is sent in one piece (bytes). */
const wholeBytesMax = 256 * 1024;

/** A single range of bytes; undefined: none that is to be heeded (several, or another unit). */
function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (match === null) return undefined;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const start = Math.max(0, size - Number(last));
    return start < size ? { start, end: size - 1 } : 'unsatisfiable';
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}
