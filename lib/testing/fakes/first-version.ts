import { createServer, type Server } from 'node:net';

/*
 * A mount of pinfs 0.1.0 as others see it: its record, its socket, and what it answers there, taken down from its code.
 */

export const recordOfFirstVersion = {
  mountpoint: '/mnt/a',
  pid: 42,
  since: '2020-01-01T00:00:00.000Z',
  source: 'http://127.0.0.1/test.example.org',
};

/** What a process of 0.1.0 answers for its status, word for word but for names and hashes. */
export const statusOfFirstVersion = {
  version: 1,
  state: 'running',
  mountpoint: '/mnt/a',
  source: 'http://127.0.0.1/test.example.org',
  repository: 'test.example.org',
  pid: 42,
  since: '2020-01-01T00:00:00.000Z',
  driver: 'kernel',
  pinned: true,
  verdict: {
    status: 'verified',
    summary: 'signed by a key that was given',
    repository: 'test.example.org',
    rootHash: 'a'.repeat(40),
    revision: 7,
    published: '2015-06-10T12:00:00.000Z',
    judgedAt: '2015-06-11T12:00:00.000Z',
    trustAtGiven: false,
    weakKeyAccepted: false,
    key: { name: 'test.pub', sha256: 'b'.repeat(64), shipped: false },
    whitelist: { expires: '2015-07-10T12:00:00.000Z' },
    hashStrength: 'SHA-1',
    steps: [{ step: 'manifest-syntax', outcome: 'passed', detail: 'well-formed' }],
    reasons: [],
  },
  store: {
    hits: 3,
    misses: 1,
    stored: 2048,
    evicted: 0,
    bytes: 4096,
    limit: 4294967296,
    rebuilt: 0,
    failures: {},
    hitRate: 0.75,
    directory: '/home/u/.cache/pinfs',
  },
  traffic: { requests: 4, bytes: 1000, failures: 0 },
  requests: { LOOKUP: 5, READ: 2 },
  errors: {},
  notCarried: 0,
  latencies: { READ: { count: 2, p50: 10, p90: 20, p99: 20, max: 21 } },
  tree: { catalogsOpened: 3, catalogsOpen: 2, directoriesLoaded: 5, rowsRefused: 0 },
  head: null,
  rss: 70000000,
  log: '/home/u/.local/state/pinfs/log/a.log',
};

/** Listens as that process does. `asked` gets each request that it understood. */
export function serveAsFirstVersion(socket: string, asked: unknown[]): Promise<Server> {
  const server = createServer((caller) => {
    caller.on('error', () => undefined);
    caller.once('data', (bytes) => {
      const request: unknown = JSON.parse(bytes.toString('utf8'));
      caller.end(`${JSON.stringify(answerOf(request, asked))}\n`);
    });
  });
  return new Promise((resolve) => {
    server.listen(socket, () => {
      resolve(server);
    });
  });
}

function answerOf(request: unknown, asked: unknown[]): object {
  if (typeof request === 'object' && request !== null && 'command' in request) {
    if (request.command === 'status') return { ok: true, value: statusOfFirstVersion };
    if (request.command === 'unmount' && 'lazy' in request && typeof request.lazy === 'boolean') {
      asked.push({ command: 'unmount', lazy: request.lazy });
      // Its handler gave nothing, and JSON leaves that out.
      return { ok: true };
    }
  }
  return { ok: false, code: 'USAGE', message: 'not a request that a mount understands' };
}
