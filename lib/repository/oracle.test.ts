import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { ByteString } from '../format/bytes.js';
import { errno } from '../format/errno.js';
import { serve } from '../source/serve.js';
import { needsGenuine, type ExpectedEntry } from '../testing/genuine.js';
import {
  differences,
  expectedTree,
  genuineRepositories,
  genuineRepository,
  type GenuineRepository,
} from '../testing/suites/oracle.js';
import { shownTree } from '../testing/suites/shown-tree.js';
import type { Environment } from './open/environment.js';
import { openRepository } from './open.js';
import type { OpenOptions } from './open/options.js';
import { list, walk } from './use/path.js';
import type { Repository } from './repository.js';

const environment: Environment = { variables: {}, now: () => new Date('2030-06-01T00:00:00Z') };

/** Schema 1.x has no owners: everything belongs to whoever looks. */
function ownedByMe(lines: Map<ByteString, ExpectedEntry>): Map<ByteString, ExpectedEntry> {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  return new Map([...lines].map(([path, line]) => [path, { ...line, uid, gid }]));
}

function expectedOf(
  { folder }: GenuineRepository,
  name: string,
  repository: Repository,
): Map<ByteString, ExpectedEntry> {
  const lines = expectedTree(folder, name);
  return repository.tree.properties.schema.startsWith('1') ? ownedByMe(lines) : lines;
}

function optionsOf(repo: GenuineRepository, cache: string): Omit<OpenOptions, 'source'> {
  return {
    cache,
    fqrn: repo.fqrn,
    keys: [repo.key],
    ...(repo.external === undefined ? {} : { external: repo.external }),
  };
}

function scratch(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-oracle-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const variables = ['TEST_SET=value', 'TEST_EMPTY='];

/** Opens, hands over, closes. */
async function opened<T>(
  options: OpenOptions,
  use: (repository: Repository) => Promise<T>,
): Promise<T> {
  const repository = await openRepository({ variables, ...options }, environment);
  try {
    return await use(repository);
  } finally {
    await repository.close();
  }
}

async function equalsExpected(
  t: Test,
  repo: GenuineRepository,
  options: OpenOptions,
  name: string,
): Promise<void> {
  await opened(options, async (repository) => {
    const shown = await shownTree(repository);
    t.strictSame(differences(shown, expectedOf(repo, name, repository)), [], options.source);
  });
}

void t.test(
  'by tag and by head every tree is the one that was published',
  needsGenuine,
  async (t) => {
    for (const repo of genuineRepositories()) {
      if (repo.snapshots.length === 0) continue;
      await t.test(repo.folder, async (t) => {
        const options = optionsOf(repo, scratch(t));
        for (const { name, tag } of repo.snapshots) {
          const source = tag === undefined ? repo.directory : `${repo.directory}@${tag}`;
          await equalsExpected(t, repo, { ...options, source }, name);
        }
        for (const { name, root_hash } of repo.tags) {
          await opened({ ...options, source: `${repo.directory}@${name}` }, (repository) => {
            t.equal(repository.descriptor.identity.rootHash, root_hash, `${name} is its root hash`);
            t.equal(repository.verdict.status, 'verified');
            return Promise.resolve();
          });
        }
      });
    }
  },
);

void t.test(
  'over HTTP it is the same, and each object is asked for once',
  needsGenuine,
  async (t) => {
    for (const folder of [
      'ships-with-project',
      'features-shake128',
      'variants/alternative-paths',
    ]) {
      await t.test(folder, async (t) => {
        const repo = genuineRepository(folder);
        const server = await serve(dirname(repo.directory));
        t.teardown(() => server.close());
        const external =
          repo.external === undefined
            ? undefined
            : await serve(dirname(repo.external)).then((one) => {
                t.teardown(() => one.close());
                return `${one.url}/${repo.fqrn}`;
              });
        const options = {
          ...optionsOf(repo, scratch(t)),
          ...(external === undefined ? {} : { external }),
        };
        const source = `${server.url}/${repo.fqrn}`;
        await equalsExpected(t, repo, { ...options, source }, 'head');
        await opened({ ...options, source }, async (repository) => {
          const before = repository.traffic.requests;
          await shownTree(repository);
          t.equal(repository.traffic.requests, before, 'the second time all is in the cache');
        });
      });
    }
  },
);

void t.test('by root hash, with no key, the tree is the same', needsGenuine, async (t) => {
  for (const folder of ['ships-with-project', 'features-rmd160', 'legacy/schema-2.4']) {
    const repo = genuineRepository(folder);
    const options = { ...optionsOf(repo, scratch(t)), keys: [] };
    for (const { name, rootHash } of repo.snapshots.slice(0, 2)) {
      const pinned = { ...options, source: `${repo.directory}@${rootHash}` };
      await equalsExpected(t, repo, pinned, name);
      await opened(pinned, (repository) => {
        t.equal(repository.verdict.status, 'pinned');
        t.equal(repository.descriptor.identity.rootHash, rootHash);
        t.ok(repository.pinned);
        return Promise.resolve();
      });
    }
  }
});

void t.test('a snapshot that is bound into the tree is that snapshot', needsGenuine, async (t) => {
  const repo = genuineRepository('features-shake128');
  const options = { ...optionsOf(repo, scratch(t)), source: repo.directory };
  await opened(options, async (repository) => {
    for (const name of ['v1-base', 'v3-uncompressed']) {
      const bound = await shownTree(repository, `/.cvmfs/snapshots/${name}`);
      const expected = expectedOf(repo, name, repository);
      t.strictSame(differences(bound, expected), [], name);
    }
  });
});

void t.test('a date is the newest tag at or before it', needsGenuine, async (t) => {
  const repo = genuineRepository('ships-with-project');
  const options = optionsOf(repo, scratch(t));
  const found = async (date: string): Promise<string | undefined> =>
    await opened({ ...options, source: `${repo.directory}@${date}` }, (repository) =>
      Promise.resolve(repository.descriptor.identity.tag),
    );
  t.equal(await found('2010-11-08'), '2010-reprocessing', 'the day itself');
  t.equal(await found('2015-09-21T08:59:59Z'), '2010-reprocessing');
  t.equal(await found('2015-09-21T11:00:00+02:00'), '2015-legacy', 'the very second, elsewhere');
  await t.rejects(found('2010-11-07'), { code: 'DATE_TOO_EARLY', exit: 5 });
  await t.rejects(found('no-such-tag'), { code: 'TAG_UNKNOWN', exit: 5 });
});

void t.test(
  'schemas that nobody knows are refused, and the reason named',
  needsGenuine,
  async (t) => {
    for (const schema of ['2.0', '2.1', '2.6', '3.0']) {
      const repo = genuineRepository(`legacy/schema-${schema}`);
      const options = { ...optionsOf(repo, scratch(t)), source: repo.directory };
      const refused = { code: 'CATALOG_UNSUPPORTED', exit: 5, message: new RegExp(schema) };
      await t.rejects(openRepository(options, environment), refused, schema);
    }
  },
);

void t.test(
  'schema 0.9: the root lists, what needs a hash it does not have is EIO',
  needsGenuine,
  async (t) => {
    const repo = genuineRepository('legacy/schema-0.9');
    await opened({ ...optionsOf(repo, scratch(t)), source: repo.directory }, async (repository) => {
      const outcomes = new Map<ByteString, string>();
      for await (const child of list(repository, await walk(repository, '', false))) {
        if (child.type !== 'directory') continue;
        const listed = await repository.run(() =>
          repository.filesystem.readdir(child.node, 0, 100),
        );
        outcomes.set(
          child.name,
          listed.kind === 'done' ? 'lists' : `${listed.errno} ${listed.error?.code ?? ''}`,
        );
      }
      t.match([...outcomes.values()], new Set(['lists', `${errno.EIO} CATALOG_UNSUPPORTED`]));
      t.equal(outcomes.get('nested'), `${errno.EIO} CATALOG_UNSUPPORTED`);
    });
  },
);

void t.test('the comparison finds what is unlike', needsGenuine, async (t) => {
  const repo = genuineRepository('ships-with-project');
  const expected = expectedTree(repo.folder, '2015-legacy');
  const options = { ...optionsOf(repo, scratch(t)), source: `${repo.directory}@2015-legacy` };
  const shown = await opened(options, (repository) => shownTree(repository));
  const [first, ...others] = shown;
  if (first === undefined) throw new Error('nothing was shown');
  t.match(differences(others, expected), ['/: not there']);
  t.match(differences([...shown, first], expected), ['/: shown twice']);
  t.match(differences([...shown, { ...first, path: '/more' }], expected), [
    '/more: should not be there',
  ]);
  for (const wrong of [
    { mode: '0700' },
    { mtime: 1 },
    { mtimeNs: 1 },
    { uid: 7 },
    { nlink: 0 },
    { xattrs: { a: '' } },
    { sha256: 'x' },
  ]) {
    t.equal(
      differences([{ ...first, ...wrong }, ...others], expected).length,
      1,
      Object.keys(wrong).join(),
    );
  }
});
