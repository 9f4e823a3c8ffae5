import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** A server of S3 with one bucket, in memory; it checks no signatures. */
export interface FakeS3 {
  readonly bucket: string;
  /** By key. */
  readonly files: Map<string, Buffer>;
  /** What a client needs in its environment. */
  readonly variables: Readonly<Record<string, string>>;
  /** From its request number `after` from now on that changes something, it only fails; undefined: no more. */
  fail(how: { readonly after: number; readonly by: 'error' | 'cut' } | undefined): void;
  /** Requests that changed something, since it was told to fail or not to. */
  readonly changes: number;
  close(): Promise<void>;
}

const bucket = 'bucket';

export async function startFakeS3(): Promise<FakeS3> {
  const files = new Map<string, Buffer>();
  const times = new Map<string, Date>();
  let failing: Parameters<FakeS3['fail']>[0];
  let changes = 0;
  const server = createServer((request, response) => {
    const isChange = request.method === 'PUT' || request.method === 'DELETE';
    if (isChange) changes += 1;
    if (failing !== undefined && changes > failing.after) {
      if (failing.by === 'cut') request.socket.destroy();
      else {
        request.resume();
        response.writeHead(500).end('<Error><Code>InternalError</Code></Error>');
      }
      return;
    }
    answer(files, times, request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    bucket,
    files,
    variables: {
      AWS_ACCESS_KEY_ID: 'somebody',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    },
    fail(how) {
      failing = how;
      changes = 0;
    },
    get changes() {
      return changes;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function tag(bytes: Buffer): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

async function answer(
  files: Map<string, Buffer>,
  times: Map<string, Date>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const key = decodeURIComponent(url.pathname).slice(`/${bucket}/`.length);
  const found = files.get(key);
  const { 'if-none-match': absent, 'if-match': version } = request.headers;
  const end = (status: number, body: Buffer | string = ''): void => {
    const head = found === undefined ? {} : { ETag: tag(found) };
    const modified = times.get(key);
    response.writeHead(status, {
      ...head,
      ...(modified === undefined ? {} : { 'Last-Modified': modified.toUTCString() }),
    });
    response.end(request.method === 'HEAD' ? '' : body);
  };
  const body = await buffer(request);
  if (request.method === 'PUT') {
    const isRefused =
      (absent === '*' && found !== undefined) ||
      (version !== undefined && (found === undefined || tag(found) !== version));
    if (!isRefused) {
      files.set(key, body);
      times.set(key, new Date());
    }
    end(isRefused ? 412 : 200);
  } else if (request.method === 'DELETE') {
    files.delete(key);
    end(204);
  } else if (key === '') end(200, listOf(files, url.searchParams.get('prefix') ?? ''));
  else if (found === undefined) end(404);
  else end(200, found);
}

function listOf(files: ReadonlyMap<string, Buffer>, prefix: string): string {
  const entries = [...files]
    .filter(([key]) => key.startsWith(prefix))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(
      ([key, { length }]) =>
        `<Contents><Key>${encodeURIComponent(key)}</Key><Size>${length}</Size>` +
        `<LastModified>${new Date(0).toISOString()}</LastModified></Contents>`,
    );
  return `<ListBucketResult>${entries.join('')}<IsTruncated>false</IsTruncated></ListBucketResult>`;
}
