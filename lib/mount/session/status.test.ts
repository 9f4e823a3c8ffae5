import t from 'tap';
import { stubDriver, stubRepository, stubVerdict } from '../../testing/fakes/stub-mount.js';
import { mountStatus, statusLines, type MountStatus } from './status.js';
import { readStatus } from './status-json.js';

async function status(changes: Partial<MountStatus> = {}): Promise<MountStatus> {
  const driver = stubDriver();
  const mounted = await driver.mount({ mountpoint: '/mnt/a' } as never);
  const value = mountStatus({
    state: 'running',
    mountpoint: '/mnt/a',
    since: '2020-01-01T00:00:00.000Z',
    driver: 'kernel',
    device: '0:40',
    repository: stubRepository(),
    statistics: mounted.statistics,
    head: null,
    previous: [],
    log: '/var/log/a',
  });
  return { ...value, ...changes };
}

const bytes = (count: number) => `${count} B`;

void t.test('the status is plain JSON with everything that is counted', async (t) => {
  const value = await status();
  t.match(value, JSON.parse(JSON.stringify(value)), 'nothing is lost as JSON');
  const full: MountStatus = {
    ...value,
    place: '/mnt/b',
    inodes: { bits: 32, given: { seen: 1, moved: 2, kept: true, whole: false } },
    previous: [
      { generation: 1, rootHash: 'a', tag: null, revision: 3, until: '2020-01-01T00:00:00.000Z' },
    ],
    head: { lastCheck: null, nextCheck: 'x', lastProblem: { code: 'A', message: 'b' } },
    latencies: { READ: { count: 1, p50: 1, p90: 1, p99: 1, max: 1 } },
    store: { ...value.store, catalogBytes: 7 },
  };
  for (const one of [value, full]) {
    const read = readStatus(JSON.parse(JSON.stringify(one)));
    t.same(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(one)), 'nor when read');
  }
  t.match(value, {
    version: 1,
    mountpoint: '/mnt/a',
    source: 'http://127.0.0.1/test.example.org',
    repository: 'test.example.org',
    pid: process.pid,
    driver: 'kernel',
    store: { hits: 3, misses: 1, hitRate: 0.75, directory: '/nowhere/cache' },
    traffic: { requests: 4, bytes: 1000 },
    requests: { LOOKUP: 5, READ: 2 },
    errors: { OBJECT_MISSING: 1 },
    tree: { catalogsOpen: 2 },
    inodes: { bits: 63, given: null },
  });
  t.ok(value.rss > 1_000_000);
});

void t.test('people see the same, one fact a line', async (t) => {
  const text = statusLines(await status(), bytes).join('\n');
  for (const part of [
    '/mnt/a',
    'test.example.org, revision 7',
    'a'.repeat(40),
    'verified: signed by a key',
    '75.0 % hits (3 of 4)',
    '4 requests, 1000 B',
    'LOOKUP 5, READ 2',
    'OBJECT_MISSING 1',
    'pinned, never moves',
    'inodes      63 bits',
  ]) {
    t.ok(text.includes(part), part);
  }
});

void t.test('inode numbers of 32 bits are told, and when they are not kept', async (t) => {
  const value = await status();
  const given = { seen: 9, moved: 1, kept: true, whole: false };
  const line = (change: object): string =>
    statusLines({ ...value, inodes: { bits: 32, given: { ...given, ...change } } }, bytes)
      .filter((text) => text.includes('inodes'))
      .join();
  t.match(line({}), /32 bits, 9 numbers, 1 of them moved, given as names are seen$/);
  t.match(line({ whole: true }), /given to the whole snapshot at once$/);
  t.match(line({ kept: false }), /NOT KEPT, see the log$/);
});

void t.test('nothing that a server or a path says can write to the terminal', async (t) => {
  const hostile = '\u001b[2J\n';
  const value = await status({
    mountpoint: `/mnt/${hostile}`,
    source: hostile,
    verdict: stubVerdict({ summary: hostile, tag: hostile }),
    errors: { [hostile]: 1 },
    head: {
      lastCheck: null,
      nextCheck: null,
      lastProblem: { code: 'SOURCE_STATUS', message: hostile },
    },
  });
  const failure = { code: 'X', message: hostile, path: hostile, time: '2020' };
  const lines = statusLines({ ...value, store: { ...value.store, lastFailure: failure } }, bytes);
  for (const line of lines) t.notMatch(line, /[\n\u001b]/);
});

void t.test('a mount that nobody has read from has no hit rate', async (t) => {
  const value = await status();
  const store = { ...value.store, hitRate: null, hits: 0, misses: 0 };
  t.match(statusLines({ ...value, store }, bytes).join('\n'), /no reads yet/);
});

void t.test('names that the driver cannot carry are said', async (t) => {
  t.match(statusLines(await status({ notCarried: 3 }), bytes).join('\n'), /3 names or times/);
});

void t.test('a limit in which not even the catalogs fit is told', async (t) => {
  const value = await status();
  const lines = (limit: number) =>
    statusLines({ ...value, store: { ...value.store, limit, catalogBytes: 5000 } }, bytes).join();
  t.match(lines(4999), /TOO SMALL +the cache may take 4999 B, and the catalogs .* need 5000 B/);
  t.match(lines(4999), /--cache-limit SIZE raises the limit/);
  for (const limit of [5000, 0]) t.notMatch(lines(limit), /TOO SMALL/);
  t.notMatch(statusLines(await status(), bytes).join(), /TOO SMALL/);
});
