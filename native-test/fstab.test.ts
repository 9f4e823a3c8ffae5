import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseMountinfo } from '../lib/machine/mountinfo.js';
import { fixtureKey, fixtures, script } from './cli.js';
import { needsAll, needsMount, needsProgram, needsRoot } from './machine.js';
import { run } from './scene.js';
import { until } from './stage.js';

// What mount(8) makes of lines of fstab: it calls mount.fuse3, and that calls pinfs.

const needs = {
  ...needsAll(
    needsMount,
    needsRoot,
    needsProgram('mount'),
    needsProgram('mount.fuse3'),
    needsProgram('nsenter'),
  ),
  timeout: 240_000,
};

interface Place {
  readonly directory: string;
  readonly mountpoint: string;
  /** Runs a command where the mounts are. */
  readonly inside: (command: string, ...args: string[]) => ReturnType<typeof run>;
  /** Runs mount(8) with a fstab of one line. */
  readonly mount: (line: Line, ...args: string[]) => ReturnType<typeof run>;
  /** Source and options of what is mounted there now, one on the other. */
  readonly mounted: () => { readonly source: string; readonly options: readonly string[] }[];
  readonly umount: () => Promise<void>;
}

interface Line {
  readonly source: string;
  readonly type?: string;
  readonly options: string;
}

const tag = 'tag=2015-legacy';

// mount(8) calls its helpers with a PATH of its own: pinfs is put there, in a mount namespace of the test.
const helperPlace = '/usr/local/bin';

const enter = String.raw`
mount --bind "$2" "$1/node" && mount --rbind "$1" ${helperPlace} && echo ready && read line
`;

async function place(t: Test): Promise<Place> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-fstab-')));
  for (const name of ['bin', 'mnt']) mkdirSync(join(directory, name));
  writeFileSync(join(directory, 'bin', 'node'), '');
  const program = join(directory, 'bin', 'pinfs');
  writeFileSync(program, `#!/bin/sh\nexec ${helperPlace}/node '${script}' "$@"\n`);
  chmodSync(program, 0o755);
  const namespace = spawn(
    'unshare',
    [
      '-m',
      '--propagation',
      'private',
      'sh',
      '-c',
      enter,
      'sh',
      `${directory}/bin`,
      process.execPath,
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  await once(namespace.stdout, 'data');
  const pid = String(namespace.pid);
  const inside: Place['inside'] = (command, ...args) =>
    run('nsenter', ['-t', pid, '-m', '--', command, ...args], { timeout: 60_000 });
  const mountpoint = join(directory, 'mnt');
  const mounted = () =>
    parseMountinfo(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'))
      .filter((line) => line.mountpoint === mountpoint)
      .map(({ source, options }) => ({ source, options }));
  const umount = async () => {
    while (mounted().length > 0) await inside('umount', '-l', '-c', mountpoint);
  };
  t.teardown(async () => {
    await umount();
    namespace.stdin.end();
    // Processes that are just ending still write their last words.
    const remove = () => {
      try {
        rmSync(directory, { recursive: true, force: true });
      } catch {
        return false;
      }
      return !existsSync(directory);
    };
    await until(remove);
  });
  const mount: Place['mount'] = ({ source, type = 'fuse.pinfs', options }, ...args) => {
    const own = `key=${fixtureKey},cache=${join(directory, 'cache')}`;
    const fstab = join(directory, 'fstab');
    const escaped = source.replaceAll(' ', '\\040');
    writeFileSync(fstab, `${escaped} ${mountpoint} ${type} ${options},${own} 0 0\n`);
    return inside('mount', '-T', fstab, ...args);
  };
  return { directory, mountpoint, inside, mount, mounted, umount };
}

void t.test('mount -a does nothing where all is mounted, for every form', needs, async (t) => {
  const { directory, mount, mounted, umount } = await place(t);
  const plain = join(fixtures, 'analysis.example.org');
  symlinkSync(fixtures, join(directory, 'link'));
  mkdirSync(join(directory, 'a, b'));
  symlinkSync(plain, join(directory, 'a, b', 'analysis.example.org'));
  const linked = join(directory, 'link', 'analysis.example.org');
  const strange = join(directory, 'a, b', 'analysis.example.org');
  const lines: readonly Line[] = [
    { source: plain, options: `ro,${tag}` },
    { source: plain, options: `defaults,nofail,_netdev,${tag},driver=fuse-native` },
    { source: `${plain}@2015-legacy`, options: 'ro' },
    { source: `${plain}/`, options: `ro,${tag}` },
    { source: linked, options: `ro,${tag}` },
    { source: strange, options: `ro,${tag}` },
    { source: `pinfs#${plain}`, type: 'fuse', options: `ro,${tag}` },
    { source: `pinfs#${plain}`, type: 'fuse', options: `ro,${tag},fsname=pinfs#${plain}` },
    { source: plain, options: `ro,drop_privileges,${tag},fsname=${plain}` },
  ];
  for (const line of lines) {
    const name = JSON.stringify(line);
    const first = await mount(line, '-a');
    t.equal(first.code, 0, `${name}: ${first.stderr}`);
    const second = await mount(line, '-a');
    t.same([second.code, second.stderr], [0, ''], `${name}, again`);
    t.equal(mounted().length, 1, 'one mount');
    await umount();
  }
});

void t.test('drop_privileges without a source to be seen is refused', needs, async (t) => {
  const { mount, mounted } = await place(t);
  const line = {
    source: join(fixtures, 'analysis.example.org'),
    options: `ro,drop_privileges,${tag}`,
  };
  const first = await mount(line, '-a');
  t.not(first.code, 0);
  t.match(first.stderr, /drop_privileges.*\n.*fsname=/);
  await mount(line, '-a');
  t.ok(mounted().length <= 1, 'and never stacks');
});

void t.test('options of mount(8) are honoured, or refused with a reason', needs, async (t) => {
  const { mountpoint, inside, mount, mounted, umount } = await place(t);
  const source = join(fixtures, 'analysis.example.org');
  for (const driver of ['kernel', 'fuse-native']) {
    const options = `ro,noexec,noatime,sync,x-a=b,users,owner,${tag},driver=${driver}`;
    const { code, stderr } = await mount({ source, options }, '-a');
    t.equal(code, 0, stderr);
    t.ok(mounted()[0]?.options.includes('noexec'), driver);
    t.not(
      (await inside('sh', '-c', '"$0"/bin/analyse', mountpoint)).code,
      0,
      'nothing is executed',
    );
    await umount();
  }
  for (const option of ['uid=0', 'gid=0', 'umask=022', 'nosymfollow', 'allow_root']) {
    const { code, stderr } = await mount({ source, options: `ro,${option},${tag}` }, '-a');
    t.not(code, 0, option);
    t.match(stderr, new RegExp(`'${option}' is refused: \\w+`));
  }
  const writable = await mount({ source, options: `rw,${tag}` }, '-a');
  t.match([writable.code, writable.stderr], [0, /rw is asked for/]);
});

void t.test('a remount changes nothing, or the pin alone', needs, async (t) => {
  const { directory, mountpoint, inside, mount } = await place(t);
  const source = join(fixtures, 'analysis.example.org');
  const line = { source, options: `ro,${tag}` };
  const early = await mount(line, '-o', 'remount,ro', mountpoint);
  t.not(early.code, 0, 'nothing is mounted yet');
  t.equal((await mount(line, '-a')).code, 0);
  const again = (options: string, from: Line = line) => mount(from, '-o', options, mountpoint);
  t.match(await again('remount,ro'), { code: 0, stderr: '' });
  const empty = join(directory, 'empty');
  writeFileSync(empty, '# nothing\n');
  const bare = await inside('mount', '-T', empty, '-o', 'remount,ro', mountpoint);
  t.match(bare, { code: 0, stderr: '' }, 'without a line in fstab');
  for (const option of ['rw', 'noexec', 'deadline=5', 'allow_other']) {
    const { code, stderr } = await again(`remount,ro,${option}`);
    t.not(code, 0, option);
    t.match(stderr, new RegExp(`can't change ${option.replace(/=.*/, '')} of`));
  }
  const other = { source, options: 'ro,tag=2010-reprocessing' };
  const moved = await mount(other, mountpoint);
  t.not(moved.code, 0);
  t.match(moved.stderr, /already on .*, with another source \[MOUNT_BUSY\]/);
  const elsewhere = { source: directory, options: `ro,${tag}` };
  t.match((await again('remount,ro', elsewhere)).stderr, /can't change source of/);
  const years = async () =>
    (await inside('sh', '-c', 'ls -l --time-style=+%Y "$0" | grep bin', mountpoint)).stdout;
  t.match(await years(), / 2015 bin/);
  t.equal((await again('remount,ro', other)).code, 0, 'the line has another tag');
  t.match(await years(), / 2010 bin/);
  t.match(await mount(other, '-a'), { code: 0, stderr: '' }, 'and is what is mounted');
  t.equal((await again('remount,tag=2024-open-data', other)).code, 0, 'on the command line');
  t.match(await years(), / 2015 bin/);
  const unknown = await again('remount,tag=nothing', other);
  t.not(unknown.code, 0);
  t.match(unknown.stderr, /TAG_UNKNOWN/);
  const none = await inside(
    'mount',
    '-T',
    empty,
    '-o',
    'remount,tag=2010-reprocessing',
    mountpoint,
  );
  t.match(none, { code: 0 }, 'without a line in fstab');
  t.match(await years(), / 2010 bin/);
});
