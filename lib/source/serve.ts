import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { statSync, realpathSync, type Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { PinfsError } from '../format/errors.js';
import { fromText, printable } from '../format/bytes.js';
import { openBelow, type Links } from './directory.js';

export interface ServeOptions {
  /** 0, the default: any free one. */
  readonly port?: number;
  /** Default: the loopback address, so that nobody else can connect. */
  readonly host?: string;
  /** Also serves what symbolic links lead to outside of the directory. */
  readonly followLinks?: boolean;
}

export interface RunningServer {
  /** Without a slash at its end; a repository is at `url/<fqrn>`. */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

const greeting =
  'pinfs serves CernVM-FS repositories here; mount one from <this address>/<name>.\n';

/**
 * Serves the files below a directory over HTTP: GET and HEAD, keep-alive, ETag, single ranges. No
 * listings, and nothing outside the directory unless links may lead there.
 * @throws PinfsError SOURCE_UNREACHABLE (no such directory), USAGE (the address can't be had).
 */
export async function serve(directory: string, options: ServeOptions = {}): Promise<RunningServer> {
  const host = options.host ?? '127.0.0.1';
  const root = rootOf(directory);
  const links = options.followLinks === true ? 'all' : 'inside';
  const server = createServer((request, response) => {
    answer(root, links, request, response).catch(() => response.destroy());
  });
  try {
    server.listen(options.port ?? 0, host);
    await once(server, 'listening');
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    throw new PinfsError('USAGE', `can't serve: ${reason}`, {
      advice: 'Choose another --port, or leave it out for any free one.',
      cause: thrown,
    });
  }
  // A server that listens on TCP has an address of this form.
  const { port, address, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    port,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
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
  root: Buffer,
  links: Links,
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
    handle = await openBelow(root, path ?? '', '', links);
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
