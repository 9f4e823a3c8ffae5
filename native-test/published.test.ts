import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import t from 'tap';
import type { Shown } from '../lib/testing/suites/oracle.js';
import { pinfsInProcess } from './in-process.js';
import { needsAll, needsDriver, needsProgram, needsRoot } from './machine.js';
import { run, scene, walkMount } from './scene.js';

// What `pinfs publish` makes, mounted; and what it leaves on a full disk.

const fqrn = 'published.example.org';
const needs = needsAll(needsRoot, needsDriver('kernel'), needsProgram('setfattr'));

function publisher(work: string, storage: string) {
  const at = (name: string): string => join(work, name);
  const env = {
    HOME: at('home'),
    XDG_CONFIG_HOME: at('config'),
    XDG_STATE_HOME: at('state'),
    XDG_CACHE_HOME: at('cache-home'),
  };
  const pinfs = (...args: string[]) => pinfsInProcess(args, env);
  const place = [fqrn, '--storage', storage];
  return {
    key: ['--key', at(`config/pinfs/keys/${fqrn}.pub`)],
    pinfs,
    create: () => pinfs('repo', 'create', ...place),
    publish: (...args: string[]) => pinfs('publish', ...place, ...args),
    check: () => pinfs('repo', 'check', ...place),
  };
}

/** Everything that a tree can have, for root. */
async function makeTree(root: string): Promise<void> {
  const at = (name: string): string => join(root, name);
  for (const name of ['links', 'sizes', 'modes', 'deep/er/est', 'special', 'empty'])
    mkdirSync(at(name), { recursive: true });
  writeFileSync(at('deep/er/.cvmfscatalog'), '');
  // Around what a chunk has at least, on average and at most.
  for (const size of [0, 1, 4095, 4096, 4097, 8192, 16_383, 16_384, 16_385, 70_000, 300_000])
    writeFileSync(at(`sizes/${size}`), randomBytes(size));
  writeFileSync(at('sizes/zeros'), Buffer.alloc(200_000));
  writeFileSync(at('links/one'), 'three names');
  linkSync(at('links/one'), at('links/two'));
  linkSync(at('links/one'), at('links/three'));
  symlinkSync('one', at('links/relative'));
  symlinkSync('/nowhere/at all', at('links/broken'));
  symlinkSync('../deep', at('links/directory'));
  for (const mode of [0o0, 0o400, 0o644, 0o777, 0o1755, 0o2755, 0o4755]) {
    const name = at(`modes/${mode.toString(8)}`);
    writeFileSync(name, `mode ${mode}`);
    chownSync(name, mode % 7, 1000 + mode);
    chmodSync(name, mode);
  }
  chmodSync(at('empty'), 0o1777);
  writeFileSync(at('deep/er/est/\u00fcml\u00e4ut and a\nline'), 'name');
  writeFileSync(at('with-attributes'), 'x');
  execFileSync('setfattr', ['-n', 'user.small', '-v', 'value', at('with-attributes')]);
  execFileSync('setfattr', ['-n', 'user.binary', '-v', '0x00ff10', at('with-attributes')]);
  execFileSync('setfattr', ['-n', 'user.of-directory', '-v', 'd', at('deep')]);
  execFileSync('mkfifo', [at('special/fifo')]);
  execFileSync('mknod', [at('special/char'), 'c', '7', '300']);
  execFileSync('mknod', [at('special/block'), 'b', '259', '70000']);
  const server = createServer().listen(at('special/bound'));
  await once(server, 'listening');
  // It would be removed with its server.
  renameSync(at('special/bound'), at('special/socket'));
  server.close();
  lutimesSync(at('links/broken'), 12, 1_234_567_890.25);
  lutimesSync(at('sizes/1'), 12, 86_400.5);
}

/** What can be compared: a directory's size and links are the file system's own affair, and so are numbers of inodes. */
function comparable(entries: readonly Shown[]): unknown[] {
  const first = new Map<string, string>();
  return [...entries]
    .sort((a, b) => (a.path < b.path ? -1 : 1))
    .map(({ ino, size, nlink, ...rest }) => {
      if (rest.type === 'dir') return rest;
      const name = first.get(ino) ?? rest.path;
      first.set(ino, name);
      // Of what has no content each file system says what it likes.
      return { ...rest, nlink, sameAs: name, ...(rest.type === 'file' ? { size } : {}) };
    });
}

void t.test('a tree that was published and mounted is the same tree', needs, async (t) => {
  const here = scene(t, 'kernel');
  const storage = join(here.work, fqrn);
  const tree = here.directory('tree');
  await makeTree(tree);
  const { key, create, publish } = publisher(here.work, storage);
  t.equal((await create()).code, 0);
  const how = ['--chunk-sizes', '4096/8192/16384', '--mtime-ns', '--from', tree];
  const published = await publish(...how, '--tag', 'v1');
  t.equal(published.code, 0, published.stderr);
  const before = comparable(await walkMount(tree));
  const asked = await walkMount(await here.mount({ source: `${storage}@v1`, args: key }));
  t.same(comparable(asked), before);
  t.ok(before.length > 35, `${before.length} entries`);
  const diff = (other: string) =>
    run('diff', ['-r', '--no-dereference', '-x', 'special', tree, join(here.work, other)]);
  t.match(await diff('mnt'), { code: 0, stdout: '', stderr: '' });

  // The tag stays what it is when there is something newer.
  rmSync(join(tree, 'links/two'));
  writeFileSync(join(tree, 'sizes/4096'), 'changed');
  t.equal((await publish(...how, '--tag', 'v2')).code, 0);
  const newer = await here.mount({ source: `${storage}@v2`, args: key, at: 'newer' });
  t.same(comparable(await walkMount(newer)), comparable(await walkMount(tree)));
  t.match(await diff('newer'), { code: 0, stdout: '' });
  const again = await here.mount({ source: `${storage}@v1`, args: key, at: 'again' });
  t.same(comparable(await walkMount(again)), before);
});

void t.test('a full disk leaves the revision before, and then the next one', needs, async (t) => {
  const here = scene(t, 'kernel');
  const disk = here.directory('disk');
  const mount = ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', disk];
  t.equal(spawnSync('mount', mount, { timeout: 10_000 }).status, 0);
  t.teardown(() => spawnSync('umount', ['-l', disk], { timeout: 10_000 }));
  const storage = join(disk, fqrn);
  const tree = here.directory('tree');
  const { key, pinfs, create, publish, check } = publisher(here.work, storage);
  t.equal((await create()).code, 0);
  writeFileSync(join(tree, 'a'), 'old');
  t.equal((await publish('--from', tree, '--tag', 'v1')).code, 0);
  const large = join(tree, 'large');
  // One object that does not fit; many of which some do; and no room for what names them.
  const left = (): number => {
    const found = spawnSync('df', ['--output=avail', '-B1', disk], { encoding: 'utf8' });
    return Number(found.stdout.split('\n')[1]);
  };
  for (const [name, fill] of [
    ['one large object', () => writeFileSync(large, randomBytes(6_000_000))],
    [
      'many objects',
      () => {
        mkdirSync(large);
        for (let index = 0; index < 200; index++)
          writeFileSync(join(large, String(index)), randomBytes(20_000));
      },
    ],
    [
      'no room at all',
      () => {
        writeFileSync(join(disk, 'filler'), Buffer.alloc(Math.max(0, left() - 8192)));
        writeFileSync(large, randomBytes(20_000));
      },
    ],
  ] as const) {
    fill();
    writeFileSync(join(tree, 'a'), `new with ${name}`);
    const failed = await publish('--from', tree);
    t.match(failed, { code: 1, stderr: /STORAGE_FAILED/ }, name);
    t.match(failed.stderr, /space|room/i);
    rmSync(join(disk, 'filler'), { force: true });
    t.match(await check(), { code: 0, stdout: /: 0 problems/ }, name);
    t.match(await pinfs('cat', ...key, storage, '/a'), { code: 0, stdout: 'old' });
    rmSync(large, { recursive: true });
    // What was written in vain is in the way.
    t.equal((await pinfs('repo', 'gc', fqrn, '--storage', storage, '--yes')).code, 0);
    t.equal((await publish('--from', tree)).code, 0, 'the next one goes through');
    t.match(await pinfs('cat', ...key, storage, '/a'), { stdout: `new with ${name}` });
    writeFileSync(join(tree, 'a'), 'old');
    t.equal((await publish('--from', tree)).code, 0);
  }
  t.ok(statSync(storage).isDirectory());
});
