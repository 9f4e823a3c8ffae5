import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { errno } from '../format/errno.js';
import { file, makeSmallRepository } from '../publish/write-repository.js';
import { openRepository } from './open.js';
import { walk } from './use/path.js';

const made = makeSmallRepository({
  'far away': file('outside', { external: true, compression: 'none' }),
  near: file('inside'),
});

t.test('an external file says where it lies, without credentials', async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-attributes-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const key = join(work, 'master.pub');
  writeFileSync(key, made.masterKey);
  const source = made.writeTo(join(work, 'source'));
  const attributes = async (external?: string) => {
    const options = { source, keys: [key], cache: join(work, 'cache') };
    const environment = {
      variables: {},
      now: () => new Date(),
      recentLog: () => '[2020-01-01T00:00:00.000Z] mounted\n',
    };
    const more = external === undefined ? {} : { external };
    const repository = await openRepository({ ...options, ...more }, environment);
    t.teardown(() => repository.close());
    return async (path: string, name: string): Promise<string | number> => {
      const { node } = await walk(repository, path, false);
      const got = await repository.run(() => repository.filesystem.getxattr(node, `user.${name}`));
      return got.kind === 'done' ? got.value.toString() : got.errno;
    };
  };
  const given = await attributes('http://me:secret@127.0.0.1:9/store/');
  t.equal(await given('/far away', 'external_url'), 'http://127.0.0.1:9/store/far away');
  t.equal(await given('/far away', 'external_file'), '1');
  t.equal(await given('/near', 'external_url'), errno.ENODATA);
  t.match(await given('/', 'external_host'), /^http:\/\/127\.0\.0\.1:9\/store/);
  t.equal(await given('/', 'logbuffer'), '[2020-01-01T00:00:00.000Z] mounted\n');
  t.ok(Number(await given('/', 'maxfd')) >= Number(await given('/', 'usedfd')));
  t.ok(Number(await given('/', 'usedfd')) > 0);
  const none = await attributes();
  t.equal(await none('/far away', 'external_url'), errno.ENODATA);
  t.equal(await none('/', 'external_host'), errno.ENODATA);
});

void t.test(
  '618-repometainfo: what the owner says of the repository, and what the cache has of a file',
  async (t) => {
    const work = mkdtempSync(join(tmpdir(), 'pinfs-attributes-'));
    t.teardown(() => rmSync(work, { recursive: true, force: true }));
    const key = join(work, 'master.pub');
    writeFileSync(key, made.masterKey);
    const source = made.writeTo(join(work, 'source'));
    const open = async (pin: string) => {
      const options = { source: source + pin, keys: [key], cache: join(work, 'cache') };
      const repository = await openRepository(options);
      t.teardown(() => repository.close());
      const of = async (path: string) => (await walk(repository, path, false)).node;
      return {
        repository,
        get: async (path: string, name: string): Promise<string | number> => {
          const node = await of(path);
          const got = await repository.run(() =>
            repository.filesystem.getxattr(node, `user.${name}`),
          );
          return got.kind === 'done' ? got.value.toString() : got.errno;
        },
        listed: async () => {
          const node = await of('/');
          const got = await repository.run(() => repository.filesystem.listxattr(node));
          return got.kind === 'done' ? got.value : [];
        },
        read: async (path: string) => {
          const node = await of(path);
          const target = Buffer.alloc(100);
          return await repository.run(() => repository.filesystem.read(node, 0, 100, target, 0));
        },
      };
    };
    const head = await open('');
    t.equal(await head.get('/', 'repo_metainfo'), '{}');
    t.equal(await head.get('/near', 'repo_metainfo~0'), '{}');
    t.ok((await head.listed()).includes('user.repo_metainfo'));
    t.equal(await head.get('/near', 'lhash'), 'Not in cache');
    await head.read('/near');
    t.equal(await head.get('/near', 'lhash'), await head.get('/near', 'hash'));
    t.equal(await head.get('/', 'lhash'), errno.ENODATA);
    const { rootHash } = head.repository.descriptor.identity;
    const pinned = await open(`@${rootHash}`);
    t.equal(
      await pinned.get('/', 'repo_metainfo'),
      errno.ENODATA,
      'no manifest vouches for a hash',
    );
    t.notOk((await pinned.listed()).includes('user.repo_metainfo'));
  },
);
