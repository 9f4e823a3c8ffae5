import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { chunkedContent, chunkSizes, edges, hasProgram, longName } from './edges.js';
import {
  isRoot,
  needsAll,
  needsDriver,
  needsNobody,
  needsProgram,
  type DriverName,
} from './machine.js';
import type { Step } from './probe.js';
import { probe, scene, shell, type Scene } from './scene.js';

interface Mounted {
  readonly here: Scene;
  readonly source: string;
  readonly args: readonly string[];
  readonly mountpoint: string;
}

/** A mount of the small repository that lasts as long as the test. */
async function mountEdges(
  t: Test,
  driver: DriverName,
  more: readonly string[] = [],
): Promise<Mounted> {
  const here = scene(t, driver);
  const server = await startBadServer(edges.files, edges.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, edges.masterKey);
  const args = ['--key', key, ...more];
  const source = `${server.url}@v1`;
  return { here, source, args, mountpoint: await here.mount({ source, args }) };
}

/** Each of these gives this result. */
async function gives(
  t: Test,
  mountpoint: string,
  expected: readonly (readonly [Step, unknown])[],
): Promise<void> {
  const steps = expected.map(([[call, path, ...rest]]): Step => [
    call,
    `${mountpoint}/${String(path)}`,
    ...rest,
  ]);
  const results = await probe(steps);
  for (const [index, [step, result]] of expected.entries()) {
    t.match(results[index], result, step.join(' ').slice(0, 80));
  }
}

/** What POSIX and this project promise of a mounted file system, over one driver. */
export function conforms(driver: DriverName): void {
  const needs = needsDriver(driver);
  const both = (name: string, more: { skip?: string }, test: (t: Test) => Promise<void>): void => {
    void t.test(`${driver}: ${name}`, needsAll(needs, more), test);
  };
  both('nothing can be written', {}, (t) => readOnly(t, driver));
  both('errors are the right ones', {}, (t) => errors(t, driver));
  both('modes keep other users out', needsNobody, (t) => otherUsers(t, driver));
  both('what there is has the right shape', {}, (t) => shapes(t, driver));
  both('inode numbers stay over remounts', {}, (t) => stableInodes(t, driver));
  both('programs run from the mount', {}, (t) => programs(t, driver));
  both('ranges of chunked files are right', {}, (t) => chunkEdges(t, driver));
  both('extended attributes', needsProgram('getfattr'), (t) => attributes(t, driver));
  both('ordinary tools work', {}, (t) => tools(t, driver));
}

async function readOnly(t: Test, driver: DriverName): Promise<void> {
  const { mountpoint } = await mountEdges(t, driver);
  const refused: readonly Step[] = [
    ['write', 'new', 'x'],
    ['write', 'file', 'x'],
    ['append', 'file', 'x'],
    ['open', 'file', 'r+'],
    ['open', 'file', 'a'],
    ['open', 'another', 'wx'],
    ['truncate', 'file', 0],
    ['mkdir', 'new'],
    ['rmdir', 'dir'],
    ['unlink', 'file'],
    ['unlink', 'link'],
    ['rename', 'file', `${mountpoint}/other`],
    ['link', 'file', `${mountpoint}/other`],
    ['chmod', 'file', 0o777],
    ['chown', 'file', 0, 0],
    ['lchown', 'link', 0, 0],
    ['utimes', 'file', 0],
    ['lutimes', 'link', 0],
    ['access', 'file', 2],
    ['access', 'dir', 2],
    ['mkdir', 'nested/new'],
  ];
  await gives(
    t,
    mountpoint,
    refused.map((step) => [step, 'EROFS']),
  );
  const made = await probe([['symlink', 'file', `${mountpoint}/new`]]);
  t.same(made, ['EROFS']);
  const fifo = await shell('mkfifo "$1/new"', mountpoint);
  t.match(fifo.stderr, /Read-only file system/);
  const xattr = await shell('setfattr -n user.x -v y "$1/file"', mountpoint);
  t.match(xattr.stderr, /Read-only file system|not found/);
  await gives(t, mountpoint, [
    [['read', 'file', 0, 100], Buffer.from('the content\n').toString('base64')],
    [['lstat', 'new'], 'ENOENT'],
  ]);
}

async function errors(t: Test, driver: DriverName): Promise<void> {
  const { mountpoint } = await mountEdges(t, driver);
  await gives(t, mountpoint, [
    [['lstat', 'nothing'], 'ENOENT'],
    [['lstat', 'nothing/at/all'], 'ENOENT'],
    [['lstat', 'nested/nothing'], 'ENOENT'],
    [['open', 'dangling', 'r'], 'ENOENT'],
    [['lstat', 'file/below'], 'ENOTDIR'],
    [['lstat', 'link/below'], 'ENOTDIR'],
    [['list', 'file'], 'ENOTDIR'],
    [['read', 'dir', 0, 10], 'EISDIR'],
    [['stat', 'loop'], 'ELOOP'],
    [['open', 'loop', 'r'], 'ELOOP'],
    [['lstat', 'x'.repeat(256)], 'ENAMETOOLONG'],
    [['lstat', `dir/${'x'.repeat(300)}/deeper`], 'ENAMETOOLONG'],
    [['lstat', longName], { size: '20' }],
    [['lstat', 'x'.repeat(255)], 'ENOENT'],
    [['readlink', 'file'], 'EINVAL'],
    [['open', 'socket', 'r'], 'ENXIO'],
    // `nodev`: devices are shown, and not opened.
    [['open', 'null', 'r'], 'EACCES'],
    [['read', 'empty', 0, 10], ''],
    [['read', 'file', 12, 10], ''],
    [['read', 'file', 1_000_000, 10], ''],
    [['read', 'up', 0, 3], Buffer.from('the').toString('base64')],
  ]);
  if (isRoot) return;
  await gives(t, mountpoint, [
    [['open', 'secret', 'r'], 'EACCES'],
    [['list', 'private'], 'EACCES'],
    [['lstat', 'private/inside'], 'EACCES'],
  ]);
}

async function otherUsers(t: Test, driver: DriverName): Promise<void> {
  const nobody = 'setpriv --reuid 65534 --regid 65534 --clear-groups';
  const closed = await mountEdges(t, driver);
  await shell('chmod 755 "$1"', closed.here.work);
  const refused = await shell(`${nobody} cat "$1/file"`, closed.mountpoint);
  t.match(refused.stderr, /Permission denied/, 'without --allow-other nobody else comes in');
  const { here, source, args } = closed;
  const open = await here.mount({ source, args: [...args, '--allow-other'], at: 'open' });
  const allowed = await shell(`${nobody} cat "$1/file" "$1/nested/inside"`, open);
  t.equal(allowed.stdout, 'the content\nin a nested catalog\n');
  for (const path of ['secret', 'private/inside']) {
    const { code, stderr } = await shell(`${nobody} cat "$1/$2"`, open, path);
    t.not(code, 0);
    t.match(stderr, /Permission denied/, path);
  }
  const listed = await shell(`${nobody} ls "$1/private"`, open);
  t.match(listed.stderr, /Permission denied/);
  const suid = await shell(`${nobody} "$1/suid"`, open);
  t.equal(suid.stdout, '65534\n', 'set-uid bits are shown and do nothing');
}

async function shapes(t: Test, driver: DriverName): Promise<void> {
  const { mountpoint } = await mountEdges(t, driver);
  const names = [
    ...'file empty chunked script suid secret private one two alone link loop'.split(' '),
    ...'dangling up dir nested fifo socket null disk'.split(' '),
    ...(hasProgram ? ['program'] : []),
    longName,
    'é è 日本',
  ].sort();
  await gives(t, mountpoint, [
    [['list', ''], names],
    [
      ['list', 'nested'],
      ['.cvmfscatalog', 'inside'],
    ],
    [['lstat', 'suid'], { mode: '4755' }],
    [['lstat', 'one'], { nlink: '2' }],
    [['readlink', 'link'], 'file'],
    [['stat', 'link'], { size: '12' }],
  ]);
  const [one, two, alone, root, dots, sub, up, ...rest] = (await probe(
    ['one', 'two', 'alone', '', 'dir/..', 'dir/sub', 'dir/sub/..', 'dir', '.', 'nested/..'].map(
      (path): Step => ['lstat', `${mountpoint}/${path}`],
    ),
  )) as { ino: string; dev: string }[];
  t.same(two, one, 'hard links are one file');
  t.not(alone?.ino, one?.ino);
  t.equal(dots?.ino, root?.ino, '.. of a directory is the root');
  t.not(sub?.ino, up?.ino);
  t.same(
    rest.map(({ ino }) => ino),
    [up?.ino, root?.ino, root?.ino],
    '. and .. are right',
  );
  const dotted = await shell('cd "$1/dir/sub" && ls -ai', mountpoint);
  t.match(dotted.stdout, new RegExp(`${sub?.ino ?? ''} \\.\n`));
  t.match(dotted.stdout, new RegExp(`${up?.ino ?? ''} \\.\\.\n`));
  const [statfs] = (await probe([['statfs', mountpoint]])) as [Record<string, number>];
  const { bavail = -1, blocks = 0 } = statfs;
  t.ok(bavail >= 0 && bavail <= blocks, 'the free room is that of the cache');
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((one) => one.split(' ')[4] === mountpoint);
  for (const word of ['ro', 'nosuid', 'nodev', 'default_permissions', 'fuse.pinfs']) {
    t.match(line, new RegExp(`\\b${word}\\b`), word);
  }
}

async function stableInodes(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args, mountpoint } = await mountEdges(t, driver);
  const inodes = async (command: string, at: string): Promise<string> =>
    (await shell(`cd "$1" && ${command} | sort`, at)).stdout;
  const before = await inodes("find . -printf '%i %p\\n'", mountpoint);
  t.equal(before, await inodes('ls -aiRU1 >/dev/null; find . -printf "%i %p\\n"', mountpoint));
  await here.umount(mountpoint);
  // In another order, from another cache.
  const again = await here.mount({ source, args, at: 'again', cache: 'other' });
  await shell('cat "$1/nested/inside"; ls "$1/dir/sub"', again);
  t.equal(await inodes("find . -depth -printf '%i %p\\n'", again), before);
}

async function programs(t: Test, driver: DriverName): Promise<void> {
  const { mountpoint } = await mountEdges(t, driver);
  t.equal((await shell('"$1/script" this', mountpoint)).stdout, 'ran with this\n');
  if (hasProgram) t.equal((await shell('"$1/program"', mountpoint)).code, 0, 'mapped and executed');
  const mapped = await shell(
    `python3 -c 'import mmap,sys
f=open(sys.argv[1],"rb"); m=mmap.mmap(f.fileno(),0,mmap.MAP_SHARED,mmap.PROT_READ)
print(sum(m[i] for i in range(0,len(m),7)))' "$1/chunked"`,
    mountpoint,
  );
  if (mapped.code === 127) return;
  let sum = 0;
  for (let at = 0; at < chunkedContent.length; at += 7) sum += chunkedContent[at] ?? 0;
  t.equal(mapped.stdout, `${sum}\n`, 'a shared mapping');
}

async function chunkEdges(t: Test, driver: DriverName): Promise<void> {
  const { here, mountpoint } = await mountEdges(t, driver);
  const ends: number[] = [];
  for (let end = 0, index = 0; end < chunkedContent.length; index++) {
    end += chunkSizes[Math.min(index, chunkSizes.length - 1)] ?? 1;
    ends.push(Math.min(end, chunkedContent.length));
  }
  const ranges = ends
    .flatMap((end) => [
      [end - 1, 1],
      [end - 1, 2],
      [end, 1],
      [Math.max(0, end - 1001), 3000],
    ])
    .concat([
      [0, chunkedContent.length + 10],
      [999, 6000],
      [chunkedContent.length - 1, 5],
      [chunkedContent.length, 1],
      [4096, 4096],
    ]) as [number, number][];
  await gives(
    t,
    mountpoint,
    ranges.map(([position, length]) => [
      ['read', 'chunked', position, length],
      chunkedContent.subarray(position, position + length).toString('base64'),
    ]),
  );
  await here.umount(mountpoint);
}

async function attributes(t: Test, driver: DriverName): Promise<void> {
  const { mountpoint } = await mountEdges(t, driver);
  const get = async (name: string, path: string): Promise<string> => {
    const { stdout, stderr } = await shell(
      'getfattr -h --only-values --absolute-names -n "$1" "$2"',
      name,
      `${mountpoint}/${path}`,
    );
    return stdout + stderr;
  };
  t.equal(await get('user.note', 'file'), 'a note');
  t.equal(await get('user.fqrn', ''), edges.fqrn);
  t.equal(await get('user.root_hash', ''), edges.head.rootHash.text);
  t.equal(await get('user.revision', 'file'), '1');
  t.equal(await get('user.tag', ''), 'v1');
  t.match(await get('user.hash', 'file'), /^[0-9a-f]{40}$/);
  t.match(await get('user.hash', 'dir'), /No such attribute/);
  t.match(await get('user.nothing', 'file'), /No such attribute/);
  t.equal(await get('xfsroot.rawlink', 'link'), 'file');
  t.match(await get('user.chunks', 'chunked'), /^[0-9]+$/);
  const verdict = JSON.parse(await get('user.pinfs.trust', '')) as Record<string, unknown>;
  t.match(verdict, { status: 'verified', repository: edges.fqrn, tag: 'v1' });
  const listed = await shell('getfattr --absolute-names "$1"', `${mountpoint}/`);
  t.match(listed.stdout, /user\.fqrn/);
  const ofFile = await shell('getfattr --absolute-names "$1"', `${mountpoint}/file`);
  t.match(ofFile.stdout, /user\.note/);
  t.notMatch(ofFile.stdout, /user\.fqrn/, 'the magic ones are listed on the root only');
}

async function tools(t: Test, driver: DriverName): Promise<void> {
  const { here, mountpoint } = await mountEdges(t, driver);
  const exclude = isRoot ? '' : '--exclude=./secret --exclude=./private';
  const copy = here.directory('copy');
  const packed = await shell(
    `cd "$1" && tar cf - ${exclude} . | tar xf - -C "$2" --exclude=./null --exclude=./disk`,
    mountpoint,
    copy,
  );
  t.equal(packed.stderr.replace(/^tar: .*socket ignored\n/m, ''), '');
  const same = await shell(
    'cd "$2" && find . -type f -exec cmp {} "$1/{}" \\; && stat -c %h one',
    mountpoint,
    copy,
  );
  t.same(same, { code: 0, stdout: '2\n', stderr: '' }, 'contents, and hard links');
  const long = await shell('cd "$1" && ls -lR . >/dev/null', mountpoint);
  t.equal(long.stderr.replaceAll(/.*private.*\n/g, ''), '');
  const counted = await shell('cd "$1" && find . | wc -l', mountpoint);
  t.ok(Number(counted.stdout) > 25);
  const disk = await shell('df "$1" && du -s "$1"', mountpoint);
  t.match(disk.stdout, mountpoint);
}
