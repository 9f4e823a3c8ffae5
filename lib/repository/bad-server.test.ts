import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { asPinfsError, type ErrorCode } from '../format/errors.js';
import { hashBytes, objectPath, parseHash, type ObjectKind } from '../format/hash.js';
import { startBadServer, type BadServer, type Behaviour } from '../testing/servers/bad-server.js';
import { file, makeSmallRepository, nested } from '../publish/write-repository.js';
import type { Environment } from './open/environment.js';
import { openRepository } from './open.js';
import type { OpenOptions } from './open/options.js';
import { readRange, walk } from './use/path.js';
import type { Repository } from './repository.js';

const contents: Readonly<Record<string, string>> = {
  '/file': 'a whole file\n'.repeat(400),
  '/chunked': '0123456789'.repeat(3000),
  '/nested/inside': 'inside\n',
};
const made = makeSmallRepository({
  file: file(contents['/file'] ?? '', { compression: 'none' }),
  chunked: file(contents['/chunked'] ?? '', { chunks: [10_000] }),
  nested: nested({ inside: file(contents['/nested/inside'] ?? '') }),
});

/** Every kind of object, and the path for which it is needed. */
const kinds = {
  manifest: { path: '.cvmfspublished', read: '/file' },
  whitelist: { path: '.cvmfswhitelist', read: '/file' },
  certificate: { path: named('X', 'certificate'), read: '/file' },
  'root catalog': { path: named('C', 'catalog'), read: '/file' },
  history: { path: named('H', 'history'), read: '/file' },
  'nested catalog': { path: nestedPath(), read: '/nested/inside' },
  'file object': {
    path: objectPath({
      hash: hashBytes('sha1', Buffer.from(contents['/file'] ?? '')),
      kind: 'data',
    }),
    read: '/file',
  },
  chunk: {
    path: [...made.files.keys()].find((path) => path.endsWith('P')) ?? '',
    read: '/chunked',
  },
} as const;

type Kind = keyof typeof kinds;

/** Where an object lies that a line of the manifest names. */
function named(letter: string, kind: ObjectKind): string {
  const line = made.head.manifestLines.find((one) => one.startsWith(letter)) ?? '';
  const hash = parseHash(line.slice(1));
  if (hash === undefined) throw new Error(`the manifest has no line ${letter}`);
  return objectPath({ hash, kind });
}

function nestedPath(): string {
  const catalog = made.head.catalogs.get('/nested');
  if (catalog === undefined) throw new Error('there is no nested catalog');
  return objectPath({ hash: catalog.hash, kind: 'catalog' });
}

type Codes = Readonly<Record<'manifest' | 'whitelist' | 'certificate' | 'object', ErrorCode>>;

/** The same, whatever is asked for. */
function all(code: ErrorCode): Codes {
  return { manifest: code, whitelist: code, certificate: code, object: code };
}

const noLetters = {
  manifest: 'MANIFEST_MALFORMED',
  whitelist: 'WHITELIST_MALFORMED',
  certificate: 'CERTIFICATE_HASH_MISMATCH',
  object: 'OBJECT_HASH_MISMATCH',
} as const;
const otherLetters = {
  ...noLetters,
  manifest: 'MANIFEST_HASH_MISMATCH',
  whitelist: 'WHITELIST_SIGNATURE',
} as const;
const tooLarge = {
  ...noLetters,
  certificate: 'CERTIFICATE_MALFORMED',
  object: 'OBJECT_TOO_LARGE',
} as const;

const misbehaviours: readonly (readonly [Behaviour & string, Codes])[] = [
  [
    'missing',
    {
      manifest: 'MANIFEST_MISSING',
      whitelist: 'WHITELIST_MISSING',
      certificate: 'CERTIFICATE_MISSING',
      object: 'OBJECT_MISSING',
    },
  ],
  ['error', all('SOURCE_STATUS')],
  ['hang', all('SOURCE_TIMEOUT')],
  ['hang-in-body', all('SOURCE_TIMEOUT')],
  ['drip', all('SOURCE_TIMEOUT')],
  ['truncated', all('SOURCE_UNREACHABLE')],
  ['reset', all('SOURCE_UNREACHABLE')],
  ['not-http', all('SOURCE_UNREACHABLE')],
  ['redirect-loop', all('SOURCE_REDIRECT')],
  ['encoded', all('SOURCE_ENCODING')],
  ['html', noLetters],
  ['empty', noLetters],
  ['wrong-content', noLetters],
  ['garbage', { ...otherLetters, manifest: 'MANIFEST_SIGNATURE' }],
  ['shortened', otherLetters],
  ['bit-flipped', otherLetters],
  ['length-too-small', otherLetters],
  ['length-huge', tooLarge],
  ['endless', tooLarge],
];

function expectedCode(behaviour: string, codes: Codes, kind: Kind): ErrorCode {
  if (kind === 'manifest' || kind === 'whitelist' || kind === 'certificate') return codes[kind];
  if (kind === 'history' && behaviour === 'missing') return 'HISTORY_MISSING';
  // It is stored as it is, so its stored size is known.
  if (kind === 'file object' && behaviour === 'garbage') return 'OBJECT_TOO_LARGE';
  return codes.object;
}

interface Bench {
  readonly server: BadServer;
  readonly environment: Environment;
  options(kind: Kind, cache: string): OpenOptions;
  /** What failed a minute ago is asked for again. */
  later(): void;
}

async function setUp(t: Test): Promise<Bench> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-bad-server-'));
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  let now = Date.parse('2030-06-01T00:00:00Z');
  return {
    server,
    environment: {
      variables: {},
      now: () => new Date(now),
      // Short enough for a test that waits for them to run out.
      network: {
        retries: 1,
        backoff: 1,
        backoffMax: 1,
        headersTimeout: 100,
        lowSpeedTime: 100,
        lowSpeedBytes: 1000,
        deadline: 4000,
      },
    },
    options: (kind, cache) => ({
      source: `${server.url}${kind === 'history' ? '@v1' : ''}`,
      cache: join(work, cache),
      keys: [key],
    }),
    later: () => (now += 60_000),
  };
}

async function contentOf(repository: Repository, path: string): Promise<string> {
  const pieces: Buffer[] = [];
  const attributes = await walk(repository, path, true);
  for await (const piece of readRange(repository, attributes)) pieces.push(piece);
  return Buffer.concat(pieces).toString('latin1');
}

async function readsRight(t: Test, repository: Repository, message: string): Promise<void> {
  for (const [path, content] of Object.entries(contents)) {
    t.equal(await contentOf(repository, path), content, `${path} ${message}`);
  }
}

const atTheRoot = new Set<Kind>([
  'manifest',
  'whitelist',
  'certificate',
  'root catalog',
  'history',
]);

async function checkOne(
  t: Test,
  bench: Bench,
  [behaviour, codes]: (typeof misbehaviours)[number],
  kind: Kind,
): Promise<void> {
  const { server, environment } = bench;
  const { path, read } = kinds[kind];
  const options = bench.options(kind, `${behaviour} ${kind}`);
  server.reset();
  server.behave(path, behaviour);
  let repository: Repository | undefined;
  const error = await openRepository(options, environment)
    .then((opened) => contentOf((repository = opened), read))
    .then(
      () => undefined,
      (thrown: unknown) => asPinfsError(thrown),
    );
  t.equal(error?.code, expectedCode(behaviour, codes, kind), error?.message ?? '');
  t.equal(repository === undefined, atTheRoot.has(kind), 'it opens if only what is inside is bad');
  // Repeated once; a connection that was closed while idle counts for itself.
  t.ok(server.count(path) >= 1 && server.count(path) <= 4, 'it is not asked for again and again');

  server.reset();
  bench.later();
  try {
    repository ??= await openRepository(options, environment);
    await readsRight(t, repository, 'once the server is sound');
  } finally {
    await repository?.close();
  }
  server.behave(() => true, 'reset');
  const offline = await openRepository({ ...options, offline: true }, environment);
  try {
    await readsRight(t, offline, 'from the cache, which has nothing wrong');
  } finally {
    await offline.close();
  }
}

void t.test('a server that does everything wrong', async (t) => {
  const bench = await setUp(t);
  for (const misbehaviour of misbehaviours) {
    await t.test(misbehaviour[0], { timeout: 60_000 }, async (t) => {
      for (const kind of Object.keys(kinds) as Kind[]) {
        // It may be a gigabyte (store/large.test.ts has such an answer).
        if (kind === 'history' && misbehaviour[0] === 'endless') continue;
        await t.test(kind, (t) => checkOne(t, bench, misbehaviour, kind));
      }
    });
  }
});

void t.test('redirections are followed where that is allowed, but not for ever', async (t) => {
  const bench = await setUp(t);
  const { path } = kinds.manifest;
  bench.server.behave(path, 'redirect-loop');
  const options = { ...bench.options('manifest', 'loop'), followRedirects: true };
  await t.rejects(openRepository(options, bench.environment), { code: 'SOURCE_REDIRECT' });
  t.equal(bench.server.count(path), 5);
  bench.server.reset();
  bench.server.behave(path, 'redirect-loop', 4);
  const repository = await openRepository(options, bench.environment);
  t.equal(repository.verdict.status, 'verified');
  await repository.close();
});

void t.test('what was verified here before comes up without a usable head', async (t) => {
  const bench = await setUp(t);
  const first = await openRepository(bench.options('manifest', 'known'), bench.environment);
  await readsRight(t, first, 'the first time');
  await first.close();
  const letters = ['manifest', 'whitelist'] as const;
  const unusable = misbehaviours.slice(
    0,
    misbehaviours.findIndex(([name]) => name === 'garbage'),
  );
  for (const kind of letters) {
    for (const [behaviour, codes] of unusable) {
      const code = codes[kind];
      bench.server.reset();
      bench.server.behave(kinds[kind].path, behaviour);
      const repository = await openRepository(bench.options(kind, 'known'), bench.environment);
      t.equal(repository.verdict.status, 'offline', `${kind} ${behaviour}`);
      t.equal(repository.verdict.reasons[0]?.code, code);
      await readsRight(t, repository, `though ${kind} is ${behaviour}`);
      await repository.close();
    }
  }
  for (const [behaviour] of misbehaviours) {
    bench.server.reset();
    bench.server.behave(kinds.certificate.path, behaviour);
    const options = bench.options('certificate', 'known');
    const repository = await openRepository(options, bench.environment);
    t.equal(repository.verdict.status, 'verified', `the certificate is cached: ${behaviour}`);
    t.equal(bench.server.count(kinds.certificate.path), 0, 'it is not asked for');
    await repository.close();
  }
  for (const [behaviour, codes] of misbehaviours) {
    if (codes !== otherLetters) continue;
    bench.server.reset();
    bench.server.behave(kinds.manifest.path, behaviour);
    await t.rejects(openRepository(bench.options('manifest', 'known'), bench.environment), {
      code: codes.manifest,
      exit: 3,
    });
  }
});
