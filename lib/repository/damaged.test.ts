import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fromText, printable, type ByteString } from '../format/bytes.js';
import { asPinfsError, type ErrorCode } from '../format/errors.js';
import { startBadServer, type BadServer } from '../testing/servers/bad-server.js';
import {
  damagedCases,
  damagedFile,
  damagedFqrn,
  type DamagedCase,
  type DamagedOperation,
} from '../testing/damaged.js';
import { genuine, needsGenuine } from '../testing/genuine.js';
import type { Environment } from './open/environment.js';
import { openRepository } from './open.js';
import type { OpenOptions } from './open/options.js';
import { list, readRange, valueOf, walk } from './use/path.js';
import type { Repository } from './repository.js';

const everything = ['chunked.txt', 'dir', 'hello.txt', 'link', 'nested', 'new.txt', 'xattr.txt'];
/** The files of the base, by the begin of the SHA-256 of their content. */
const contents: Readonly<Record<string, string>> = {
  '/hello.txt': 'd9a4c667',
  '/dir/data.txt': '5c95d6b8',
  '/chunked.txt': 'd66174ed',
  '/nested/inside.txt': '7b244169',
  '/xattr.txt': '2d711642',
};

/** What it can't be opened for. */
const refusals: Partial<Record<ErrorCode, readonly string[]>> = {
  MANIFEST_HASH_MISMATCH: ['manifest-body-tampered'],
  MANIFEST_SIGNATURE: [
    'manifest-body-tampered-hash-fixed',
    'manifest-signed-by-other-key',
    'manifest-signature-bit-flipped',
    'manifest-signature-missing',
    'manifest-truncated-in-signature',
  ],
  MANIFEST_MALFORMED: [
    'manifest-truncated-in-body',
    'manifest-empty',
    'manifest-html',
    'manifest-root-hash-malformed',
  ],
  MANIFEST_NAME_MISMATCH: ['manifest-other-repository', 'manifest-without-name'],
  MANIFEST_INCOMPLETE: ['manifest-without-root-hash'],
  MANIFEST_ROOT_PATH: ['manifest-root-path-wrong'],
  MANIFEST_MISSING: ['manifest-missing'],
  CERTIFICATE_NOT_LISTED: [
    'certificate-not-on-whitelist',
    'whitelist-fingerprint-commented-out',
    'whitelist-no-fingerprints',
  ],
  CERTIFICATE_HASH_MISMATCH: ['certificate-hash-mismatch'],
  CERTIFICATE_MISSING: ['certificate-missing'],
  CERTIFICATE_MALFORMED: ['certificate-garbage', 'bomb-certificate'],
  CERTIFICATE_BLACKLISTED: ['certificate-blacklisted'],
  REVISION_BLACKLISTED: ['revision-blacklisted'],
  WHITELIST_EXPIRED: ['whitelist-expired'],
  WHITELIST_SIGNATURE: [
    'whitelist-signed-by-other-master',
    'whitelist-body-tampered-hash-fixed',
    'whitelist-signature-truncated',
  ],
  WHITELIST_NAME_MISMATCH: ['whitelist-other-repository'],
  WHITELIST_HASH_MISMATCH: ['whitelist-body-tampered'],
  WHITELIST_MALFORMED: [
    'whitelist-truncated',
    'whitelist-empty',
    'whitelist-html',
    'whitelist-expiry-malformed',
  ],
  WHITELIST_MISSING: ['whitelist-missing'],
  OBJECT_TOO_LARGE: ['bomb-root-catalog'],
  OBJECT_MISSING: ['root-catalog-missing', 'tag-catalog-missing'],
  OBJECT_HASH_MISMATCH: ['root-catalog-bit-flipped', 'history-bit-flipped'],
  CATALOG_NOT_SQLITE: ['root-catalog-not-sqlite', 'root-catalog-empty', 'root-catalog-half'],
  CATALOG_SCHEMA: [
    'catalog-table-missing',
    'catalog-no-properties',
    'catalog-is-view',
    'catalog-view-endless',
    'catalog-triggers',
    'catalog-wal-mode',
  ],
  CATALOG_ROOT_ENTRY: ['catalog-no-root-entry', 'catalog-root-entry-is-file'],
  HISTORY_MISSING: ['history-missing', 'history-no-line'],
  HISTORY_MALFORMED: ['history-not-sqlite'],
  HISTORY_NAME_MISMATCH: ['history-other-repository'],
  TAG_UNKNOWN: ['tag-unknown'],
  TAG_HASH_MALFORMED: ['tag-hash-malformed'],
};

const listed = everything.join(' ');
const without = (...names: string[]): string =>
  everything.filter((name) => !names.includes(name)).join(' ');

/** What the operations of a case show where it opens; one text for all of them if they are alike. */
const outcomes: Readonly<Record<string, ErrorCode | readonly string[]>> = {
  rollback: ['offline', contents['/hello.txt'] ?? ''],
  'object-truncated': 'OBJECT_HASH_MISMATCH',
  'object-empty': 'OBJECT_HASH_MISMATCH',
  'object-trailing-garbage': 'OBJECT_HASH_MISMATCH',
  'object-bit-flipped': 'OBJECT_HASH_MISMATCH',
  'object-html': 'OBJECT_HASH_MISMATCH',
  'object-swapped': 'OBJECT_HASH_MISMATCH',
  'object-not-compressed': 'OBJECT_HASH_MISMATCH',
  'object-missing': 'OBJECT_MISSING',
  'object-content-too-long': ['OBJECT_SIZE_MISMATCH', 'file 3'],
  'object-content-too-short': ['OBJECT_SIZE_MISMATCH', 'file 5000'],
  'object-bad-deflate-stream': 'OBJECT_NOT_ZLIB',
  'object-truncated-deflate-stream': 'OBJECT_NOT_ZLIB',
  'bomb-file': 'OBJECT_TOO_LARGE',
  'chunk-bit-flipped': 'OBJECT_HASH_MISMATCH',
  'chunk-missing': 'OBJECT_MISSING',
  'nested-catalog-missing': 'OBJECT_MISSING',
  'nested-catalog-bit-flipped': 'OBJECT_HASH_MISMATCH',
  'nested-catalog-not-sqlite': 'CATALOG_NOT_SQLITE',
  'nested-hash-malformed': 'CATALOG_SCHEMA',
  'nested-catalog-is-root-catalog': 'CATALOG_SCHEMA',
  'nested-mountpoint-without-catalog': ['', 'NOT_FOUND'],
  'nested-path-escapes': ['.cvmfscatalog inside.txt', listed],
  'nested-cycle': ['.cvmfscatalog inside.txt', contents['/nested/inside.txt'] ?? ''],
  'directory-is-own-parent': ['NOT_FOUND', without('dir')],
  'catalog-wrong-column-types': [listed, 'CATALOG_SCHEMA', 'data.txt'],
  'catalog-mode-not-a-type': ['CATALOG_SCHEMA', 'CATALOG_SCHEMA', without('hello.txt', 'new.txt')],
  'name-with-slash': [listed, 'NOT_FOUND'],
  'name-dotdot': [listed, 'directory 4096'],
  'name-dot': [listed, 'directory 4096'],
  'name-with-nul': [listed],
  'name-empty': [listed],
  'name-too-long': [listed, 'NOT_FOUND'],
  'name-twice': [listed, 'file 12'],
  'size-negative': 'CATALOG_SCHEMA',
  'size-huge': 'CATALOG_SCHEMA',
  'size-min-int64': 'CATALOG_SCHEMA',
  'hash-null': 'CATALOG_SCHEMA',
  'hash-too-short': 'CATALOG_SCHEMA',
  'hash-too-long': 'CATALOG_SCHEMA',
  'hash-algorithm-unknown': 'CATALOG_SCHEMA',
  'compression-unknown': 'CATALOG_SCHEMA',
  'symlink-empty': ['', listed],
  'xattr-garbage': ['', contents['/xattr.txt'] ?? ''],
  'chunk-size-wrong': ['OBJECT_SIZE_MISMATCH', 'file 60010'],
  'chunks-swapped': ['OBJECT_SIZE_MISMATCH', 'file 60000'],
  ...Object.fromEntries(
    ['none', 'gap', 'overlap', 'first-not-at-zero', 'beyond-end', 'too-few']
      .map((what) => `chunks-${what}`)
      .concat('chunk-offset-huge', 'chunk-size-huge', 'chunk-hash-null')
      .map((name) => [name, ['CATALOG_SCHEMA', 'file 60000']]),
  ),
};

/** The exit code of each class, where it is one of failure. */
const exits: Partial<Record<DamagedCase['expect'], number>> = {
  'refused-by-trust': 3,
  'missing-object': 5,
  'damaged-object': 5,
  'damaged-catalog': 5,
};

let now = Date.parse('2030-06-01T00:00:00Z');
const environment: Environment = {
  variables: {},
  now: () => new Date(now),
  network: { retries: 1, backoff: 1, backoffMax: 1 },
};

async function contentOf(repository: Repository, path: ByteString): Promise<string> {
  const digest = createHash('sha256');
  const file = await walk(repository, path, true);
  for await (const piece of readRange(repository, file)) digest.update(piece);
  return digest.digest('hex').slice(0, 8);
}

/** What an operation shows, in a few words. */
async function show(repository: Repository, { op, path = '/' }: DamagedOperation): Promise<string> {
  const bytes = fromText(path);
  const { filesystem } = repository;
  switch (op) {
    case 'mount':
      return repository.verdict.status;
    case 'read':
      return await contentOf(repository, bytes);
    case 'list': {
      const names: string[] = [];
      const directory = await walk(repository, bytes, true);
      for await (const entry of list(repository, directory)) names.push(printable(entry.name));
      return names.sort().join(' ');
    }
    case 'stat': {
      const entry = await walk(repository, bytes, false);
      const { size } = entry;
      return `${entry.type} ${size}`;
    }
    case 'readlink': {
      const { node } = await walk(repository, bytes, false);
      return printable(await valueOf(repository, bytes, () => filesystem.readlink(node)));
    }
    case 'xattr': {
      const { node } = await walk(repository, bytes, false);
      return (await valueOf(repository, bytes, () => filesystem.listxattr(node))).join(' ');
    }
  }
}

async function outcome(action: () => Promise<string>): Promise<{ text: string; exit: number }> {
  try {
    return { text: await action(), exit: 0 };
  } catch (thrown) {
    const { code, exit } = asPinfsError(thrown);
    return { text: code, exit };
  }
}

/** Serves one case at a time. */
interface Bench {
  readonly server: BadServer;
  serve(one: Pick<DamagedCase, 'name' | 'changed' | 'removed'>): void;
  options(one: DamagedCase): OpenOptions;
}

async function setUp(t: Test): Promise<Bench> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-damaged-'));
  let current: Pick<DamagedCase, 'name' | 'changed' | 'removed'> = { name: 'base' };
  const server = await startBadServer((path) => damagedFile(current, path), damagedFqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  return {
    server,
    serve: (one) => (current = one),
    options: ({ name, tag, blacklist }) => ({
      source: server.url + (tag === undefined ? '' : `@${tag}`),
      cache: join(work, name),
      keys: [genuine('keys', `${damagedFqrn}.pub`)],
      ...(blacklist === undefined ? {} : { blacklist: genuine('damaged', blacklist) }),
    }),
  };
}

async function opened<T>(
  options: OpenOptions,
  use: (repository: Repository) => Promise<T>,
): Promise<T> {
  const repository = await openRepository(options, environment);
  try {
    return await use(repository);
  } finally {
    await repository.close();
  }
}

async function checkRefusal(t: Test, bench: Bench, one: DamagedCase, code: string): Promise<void> {
  const error = await openRepository(bench.options(one), environment).then(
    (repository) => repository.close(),
    (thrown: unknown) => asPinfsError(thrown),
  );
  if (error === undefined) {
    t.fail(`it opens, though ${one.wrong}`);
    return;
  }
  t.equal(error.code, code, one.wrong);
  t.equal(error.exit, exits[one.expect] ?? 5, one.expect);
  t.ok(error.message.length < 1000 && !/[^ -~]/.test(error.message), error.message);
  if (one.tag === undefined || one.name === 'tag-unknown') return;
  const head = { ...bench.options(one), source: bench.server.url };
  const read = await opened(head, (it) => contentOf(it, '/hello.txt'));
  t.equal(read, contents['/hello.txt'], 'without a tag it works');
}

async function checkOpened(t: Test, bench: Bench, one: DamagedCase): Promise<void> {
  await opened(bench.options(one), async (repository) => {
    const shown: string[] = [];
    let exit = 0;
    for (const operation of one.show) {
      const result = await outcome(() => show(repository, operation));
      shown.push(result.text);
      exit ||= result.exit;
    }
    if (one.expect === 'accepted') {
      const good = one.show.map(
        ({ op, path = '' }) => contents[path] ?? (op === 'mount' && 'verified'),
      );
      t.same(shown, good, one.wrong);
    } else {
      const expected = outcomes[one.name] ?? [];
      t.same(shown, typeof expected === 'string' ? shown.map(() => expected) : expected, one.wrong);
      // After a rollback it stays where it was.
      if (one.name !== 'rollback') t.equal(exit, exits[one.expect] ?? exit, one.expect);
    }
    for (const path of one.still_works ?? []) {
      t.equal(await contentOf(repository, path), contents[path], `${path} is still right`);
    }
    await checkRecovery(t, bench, one, repository);
  });
}

/** When the server is sound again, so is what is read, for nothing wrong was kept. */
async function checkRecovery(
  t: Test,
  bench: Bench,
  one: DamagedCase,
  repository: Repository,
): Promise<void> {
  if (one.changed?.includes('.cvmfspublished') === true) return;
  bench.serve({ name: 'base' });
  now += 60_000; // a failure is remembered for a while
  for (const [path, content] of Object.entries(contents)) {
    t.equal(await contentOf(repository, path), content, `${path} once the server is sound`);
  }
}

void t.test('damaged and hostile repositories', needsGenuine, async (t) => {
  const bench = await setUp(t);
  const codes = new Map(
    Object.entries(refusals).flatMap(([code, names]) => names.map((name) => [name, code] as const)),
  );
  for (const one of damagedCases()) {
    await t.test(one.name, async (t) => {
      if (one.first !== undefined) {
        bench.serve({ name: 'base' });
        await opened(bench.options(one), (it) => contentOf(it, '/hello.txt'));
      }
      bench.serve(one);
      const before = process.resourceUsage().maxRSS;
      const code = codes.get(one.name);
      if (code === undefined) await checkOpened(t, bench, one);
      else await checkRefusal(t, bench, one, code);
      // The bombs have 200 MiB (in KiB).
      t.ok(process.resourceUsage().maxRSS - before < 100 * 1024, 'memory stays bounded');
    });
  }
  t.equal(damagedCases().length, 118);
});
