import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { asPinfsError, type PinfsError } from '../format/errors.js';
import { file, makeRepository, makeSmallRepository, nested } from '../publish/write-repository.js';
import { startBadServer, type BadServer, type Behaviour } from '../testing/servers/bad-server.js';
import {
  startForwardProxy,
  type ForwardProxy,
  type ProxyFault,
} from '../testing/servers/forward-proxy.js';
import type { Environment } from './open/environment.js';
import { openRepository } from './open.js';
import type { OpenOptions } from './open/options.js';
import { refresh } from './follow.js';
import { readRange, walk } from './use/path.js';
import type { Repository } from './repository.js';

/* Whole trees, read while mirrors and proxies fail. */

const fileCount = 40;
const names = Array.from({ length: fileCount }, (_, i) => `file${i}`);
const contentOf = (name: string): string => `${name} has this content\n`.repeat(200);
const made = makeSmallRepository({
  ...Object.fromEntries(names.map((name) => [name, file(contentOf(name))])),
  nested: nested({ inside: file('inside\n') }),
});
const paths = [...names.map((name) => `/${name}`), '/nested/inside'];
const truth = digestOf(paths.map((path) => expected(path)));

function expected(path: string): string {
  return path === '/nested/inside' ? 'inside\n' : contentOf(path.slice(1));
}

function digestOf(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\0')).digest('hex');
}

interface Scene {
  readonly servers: readonly BadServer[];
  readonly proxies: readonly ForwardProxy[];
  readonly told: PinfsError[];
  readonly environment: Environment;
  readonly options: OpenOptions;
}

// Longer than a loaded machine leaves a server that is well without a turn.
const timeoutMs = 1000;

async function setUp(t: Test, proxied: boolean, more: Partial<OpenOptions> = {}): Promise<Scene> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-faults-'));
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const servers = [
    await startBadServer(made.files, made.fqrn),
    await startBadServer(made.files, made.fqrn),
  ];
  const proxies = proxied ? [await startForwardProxy(), await startForwardProxy()] : [];
  t.teardown(async () => {
    for (const one of [...servers, ...proxies]) await one.close().catch(() => undefined);
    rmSync(work, { recursive: true, force: true });
  });
  const told: PinfsError[] = [];
  const times = { headersTimeout: timeoutMs, lowSpeedTime: timeoutMs, lowSpeedBytes: 1000 };
  return {
    servers,
    proxies,
    told,
    environment: {
      variables: {},
      now: () => new Date('2030-06-01T00:00:00Z'),
      network: { ...times, proxied: times, backoff: 5, backoffMax: 20 },
      report: (error) => told.push(error),
    },
    options: {
      source: servers[0]?.url ?? '',
      mirrors: [`http://127.0.0.1:${servers[1]?.port ?? 0}/@fqrn@`],
      ...(proxied ? { proxy: proxies.map(({ url }) => url).join(';') } : {}),
      cache: join(work, 'cache'),
      keys: [join(work, 'key.pub')],
      ...more,
    },
  };
}

async function readText(repository: Repository, path: string): Promise<string> {
  const pieces: Buffer[] = [];
  const attributes = await walk(repository, path, true);
  for await (const piece of readRange(repository, attributes)) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}

/** Six readers at once; `during` is called when some of it was read. */
async function digestOfTree(repository: Repository, during: () => unknown): Promise<string> {
  const texts: string[] = [];
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let at = next++; at < paths.length; at = next++) {
      if (at === 12) await during();
      texts[at] = await readText(repository, paths[at] ?? '');
    }
  };
  await Promise.all(Array.from({ length: 6 }, reader));
  return digestOf(texts);
}

/** Those that are asked, and would be; the others come behind. */
interface InUse {
  readonly server: BadServer;
  readonly proxy: ForwardProxy | undefined;
}

function inUse({ servers, proxies }: Scene, { traffic }: Repository): InUse {
  const { way = '' } = traffic;
  const server = servers.find(({ url }) => way.startsWith(url));
  if (server === undefined) throw new Error(`nobody knows who is asked: ${way}`);
  return { server, proxy: proxies.find(({ url }) => way.endsWith(url)) };
}

async function isRead(
  t: Test,
  scene: Scene,
  name: string,
  during: (asked: InUse) => unknown,
): Promise<void> {
  const repository = await openRepository(scene.options, scene.environment);
  const began = performance.now();
  try {
    const fault = (): unknown => during(inUse(scene, repository));
    t.equal(await digestOfTree(repository, fault), truth, name);
    const { changes = 0, requests } = repository.traffic;
    t.ok(changes < 12, `${name}: ${changes} changes, none without need`);
    // Two that fail at once, with all that was under way.
    t.ok(requests < 3 * paths.length + 60, `${name}: ${requests} requests`);
    t.ok(performance.now() - began < 20_000, `${name}: nobody waits again and again`);
  } finally {
    await repository.close();
  }
}

const serverFaults: readonly (readonly [string, (server: BadServer) => unknown])[] = [
  ['killed', (server) => server.close()],
  ...(
    [
      'hang',
      'hang-in-body',
      'drip',
      'wrong-content',
      'bit-flipped',
      'html',
      'truncated',
      'shortened',
      'error',
      'missing',
      'encoded',
      'not-http',
      'endless',
      { status: 503, headers: { 'Retry-After': '1' } },
      { status: 429, headers: { 'Retry-After': '60' } },
      { status: 403 },
    ] as const
  ).map(
    (behaviour: Behaviour) =>
      [JSON.stringify(behaviour), (server: BadServer) => server.behave(/./, behaviour)] as const,
  ),
  [
    'delayed',
    (server) => server.behave(/./, { after: new Promise((resolve) => setTimeout(resolve, 2000)) }),
  ],
];

const proxyFaults: readonly (readonly [string, (proxy: ForwardProxy) => unknown])[] = [
  ['killed', (proxy) => proxy.close()],
  ...(
    [
      'freeze',
      'reset',
      'bit-flipped',
      'stale-cache',
      'html',
      'truncated',
      'squid-error',
      { status: 500 },
      { status: 503, headers: { 'Retry-After': '1' } },
      { status: 403 },
      { status: 407 },
      { delayMs: 2000 },
    ] as const
  ).map(
    (fault: ProxyFault) =>
      [JSON.stringify(fault), (proxy: ForwardProxy) => proxy.behave(fault)] as const,
  ),
];

void t.test('two mirrors, one of which fails while a tree is read', async (t) => {
  // The others are no other without proxies.
  const without = ['killed', '"hang"', '"drip"', '"html"', '"truncated"', '"error"', '"missing"'];
  for (const [name, fault] of serverFaults.filter(([name]) => without.includes(name))) {
    const scene = await setUp(t, false);
    await isRead(t, scene, name, ({ server }) => fault(server));
  }
});

void t.test('two mirrors behind two proxies, one of the mirrors fails', async (t) => {
  for (const [name, fault] of serverFaults) {
    const scene = await setUp(t, true);
    await isRead(t, scene, name, ({ server }) => fault(server));
  }
});

void t.test('two mirrors behind two proxies, one of the proxies fails', async (t) => {
  for (const [name, fault] of proxyFaults) {
    const scene = await setUp(t, true);
    await isRead(t, scene, name, ({ proxy }) => proxy && fault(proxy));
    const direct = scene.servers.flatMap(({ requests }) => requests).length;
    t.ok(direct > 0);
  }
});

void t.test('a mirror and a proxy fail at once', async (t) => {
  const scene = await setUp(t, true);
  await isRead(t, scene, 'both hang', ({ server, proxy }) => {
    server.behave(/./, 'hang');
    proxy?.behave('freeze');
  });
  const other = await setUp(t, true);
  await isRead(t, other, 'both give what is damaged', ({ server, proxy }) => {
    server.behave(/./, 'wrong-content');
    proxy?.behave('bit-flipped');
  });
});

void t.test('it comes up while one of each fails', async (t) => {
  for (const behaviour of ['error', 'html', 'hang', 'wrong-content', 'missing'] as const) {
    const scene = await setUp(t, true);
    scene.servers[0]?.behave(/./, behaviour);
    await isRead(t, scene, behaviour, () => undefined);
  }
  for (const fault of ['freeze', 'html', 'bit-flipped', 'squid-error'] as const) {
    const scene = await setUp(t, true);
    scene.proxies[0]?.behave(fault);
    await isRead(t, scene, fault, () => undefined);
  }
});

void t.test('all proxies are dead for a while, with 64 readers', async (t) => {
  const scene = await setUp(t, true, { deadline: 6000 });
  const repository = await openRepository(scene.options, scene.environment);
  for (const proxy of scene.proxies) await proxy.close();
  const before = repository.traffic.failures;
  const readers = Array.from({ length: 64 }, (_, i) => {
    const path = paths[i % paths.length] ?? '';
    return readText(repository, path).then(
      (text) => (text === expected(path) ? 'right' : 'wrong'),
      (thrown: unknown) => asPinfsError(thrown).code,
    );
  });
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const failures = repository.traffic.failures - before;
  // Sixteen fly at once; with pauses of 20 ms at most each of them tries 100 times a second at the very most.
  t.ok(failures > 0 && failures < 16 * 2 * 100 * 2, `${failures} tries meanwhile`);
  t.ok(scene.told.length < 12, 'and few words');
  const back: ForwardProxy[] = [];
  for (const { port } of scene.proxies) back.push(await startForwardProxy(port));
  t.teardown(async () => {
    for (const proxy of back) await proxy.close();
  });
  const ended = new Set(await Promise.all(readers));
  ended.delete('right');
  t.notOk(ended.has('wrong'), `the others: ${[...ended].join(', ')}`);
  t.equal(await digestOfTree(repository, () => undefined), truth, 'and all is read as before');
  await repository.close();
});

void t.test('who gave what is damaged is counted by name', async (t) => {
  const scene = await setUp(t, false);
  scene.servers[0]?.behave(/^data/, 'bit-flipped');
  const repository = await openRepository(scene.options, scene.environment);
  t.equal(await digestOfTree(repository, () => undefined), truth);
  t.same(Object.keys(repository.traffic.damaged ?? {}), [scene.servers[0]?.url]);
  t.match(
    scene.told.map(({ code }) => code),
    ['OBJECT_HASH_MISMATCH'],
  );
  await repository.close();
});

void t.test('a mirror that lags behind gives objects, and never the head', async (t) => {
  const tree = { old: file('old\n') };
  const two = makeRepository({
    revisions: [{ tree }, { tree: { ...tree, fresh: file('fresh\n') } }],
  });
  const [before, after] = two.revisions;
  const older = new Map(two.files);
  if (before !== undefined) older.set('.cvmfspublished', before.manifest);
  const lagging = await startBadServer(older, two.fqrn);
  const current = new Map(older);
  const leading = await startBadServer(current, two.fqrn);
  t.teardown(async () => {
    await lagging.close();
    await leading.close();
  });
  const scene = await setUp(t, false, { source: lagging.url, mirrors: [leading.url] });
  writeFileSync(scene.options.keys?.[0] ?? '', two.masterKey);
  const repository = await openRepository(scene.options, scene.environment);
  t.equal(repository.verdict.rootHash, before?.rootHash.text);
  if (after !== undefined) current.set('.cvmfspublished', after.manifest);
  const moved = await refresh(repository);
  t.equal(moved?.verdict.rootHash, after?.rootHash.text, 'the newest one wins');
  t.equal(moved && (await readText(moved, '/fresh')), 'fresh\n');
  await leading.close();
  const again = moved && (await refresh(moved));
  t.equal(again, undefined, 'never backwards');
  t.match(moved?.verdict, { status: 'offline', reasons: [{ code: 'ROLLBACK' }] });
  t.equal(moved && (await readText(moved, '/old')), 'old\n', 'objects it has');
  moved?.leave();
  await repository.close();
});

void t.test('P7 a proxy of the environment is used, and the verdict says so', async (t) => {
  const scene = await setUp(t, true);
  const [proxy] = scene.proxies;
  const variables = { http_proxy: proxy?.url, no_proxy: 'example.org' };
  const options = Object.fromEntries(
    Object.entries(scene.options).filter(([name]) => name !== 'proxy'),
  ) as unknown as OpenOptions;
  const repository = await openRepository(options, { ...scene.environment, variables });
  t.match(repository.verdict.summary, `through ${proxy?.url ?? ''}, as http_proxy`);
  t.ok((proxy?.requests ?? []).length > 0);
  await repository.close();
  const none = { ...scene.environment, variables: { ...variables, no_proxy: '127.0.0.1' } };
  const asked = proxy?.requests.length;
  const direct = await openRepository(options, none);
  t.notMatch(direct.verdict.summary, 'http_proxy');
  t.equal(proxy?.requests.length, asked);
  await direct.close();
});
