import { Command } from 'commander';
import t from 'tap';
import { mountCommand, mountSpec, withMountOptions } from './mount.js';

const root = process.getuid?.() === 0;

/** What `pinfs mount ARGS` asks the library for. */
async function specOf(...args: string[]) {
  const command = mountCommand(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => 0 });
  command.parse(args, { from: 'user' });
  const [source = '', mountpoint = ''] = command.args;
  const merged = await withMountOptions(source, mountpoint, command);
  return mountSpec(merged.source, mountpoint, merged.flags);
}

void t.test('with nothing given, everything is as safe as can be', async (t) => {
  const { options, mount } = await specOf('https://127.0.0.1/r@tag', '/mnt');
  t.same(mount, {
    mountpoint: '/mnt',
    driver: 'auto',
    allowOther: false,
    suid: false,
    dev: false,
    noXattrs: false,
    deadline: 30_000,
    verbose: false,
  });
  t.same(options, {
    source: 'https://127.0.0.1/r@tag',
    keys: [],
    variables: [],
    signers: [],
    set: [],
    mirrors: [],
    cacheLower: [],
  });
});

void t.test('every option reaches the library', async (t) => {
  const { options, mount } = await specOf(
    ...['--key', 'a', '--key', 'b', '--cache', 'c', '--cache-limit', '2G', '--driver', 'kernel'],
    ...['--allow-other', '--log', 'l', '--trace', 't', '--trust-at', '2015-01-01', '--fqrn', 'f'],
    ...[
      '--blacklist',
      'bl',
      '--external',
      'e',
      '--env',
      'A=1',
      '--env',
      'B',
      '--offline',
      '--strict',
    ],
    ...['--follow-redirects', '--no-xattrs', '--deadline', '1.5', '--weak-key', '--verbose'],
    ...['--min-rate', '2K', '--config', 'cfg', '--set', 'C=1', '--set', 'D=', '--mirror', 'm'],
    ...['--proxy', 'p', '--cache-lower', 'cl'],
    ...['--attestation', 'at', '--signer', 's', '--inodes', '32', '--protected-xattr', 'user.a'],
    ...['--xattr-gid', '100', '--xattr-gid', '101', 'dir', 'mnt'],
  );
  t.same(options, {
    source: 'dir',
    keys: ['a', 'b'],
    cache: 'c',
    cacheLimit: 2 * 2 ** 30,
    trustAt: '2015-01-01',
    fqrn: 'f',
    blacklist: 'bl',
    external: 'e',
    variables: ['A=1', 'B'],
    offline: true,
    strict: true,
    deadline: 1500,
    minRate: 2048,
    followRedirects: true,
    weakKey: true,
    attestation: 'at',
    signers: ['s'],
    inodes: 32,
    config: 'cfg',
    set: ['C=1', 'D='],
    mirrors: ['m'],
    proxy: 'p',
    cacheLower: ['cl'],
  });
  t.match(mount, {
    mountpoint: 'mnt',
    driver: 'kernel',
    allowOther: true,
    log: 'l',
    trace: 't',
    noXattrs: true,
    protectedXattrs: { names: ['user.a'], gids: [100, 101] },
    deadline: 1500,
    verbose: true,
  });
});

void t.test('the form of mount(8) asks for the same', async (t) => {
  const text =
    'rw,key=a,cache=c,cache_limit=2G,tag=x,no_xattrs,deadline=5,min_rate=8K,env=A=1,dev,suid,inodes=32,protected_xattr=user.a,xattr_gid=5';
  const { options, mount } = await specOf('https://127.0.0.1/r', '/mnt', '-o', text);
  t.match(options, {
    source: 'https://127.0.0.1/r@x',
    keys: ['a'],
    cache: 'c',
    cacheLimit: 2 * 2 ** 30,
    variables: ['A=1'],
    inodes: 32,
    deadline: 5000,
    minRate: 8192,
  });
  t.same(mount.protectedXattrs, { names: ['user.a'], gids: [5] });
  for (const wrong of [
    ['--xattr-gid', '5'],
    ['--protected-xattr', 'a', '--xattr-gid', 'users'],
  ])
    await t.rejects(specOf(...wrong, 'dir', 'mnt'), { code: 'USAGE' });
  t.match(mount, { noXattrs: true, deadline: 5000, suid: false, dev: false, driver: 'auto' });
  t.equal(mount.fsname, 'https://127.0.0.1/r', 'shown as it stands in fstab');
  const secret = await specOf('https://u:p@127.0.0.1/r', '/mnt', '-o', 'tag=x,noexec');
  t.match(secret.mount, { fsname: 'https://127.0.0.1/r', noExec: true });
  const named = await specOf('https://127.0.0.1/r@x', '/mnt', '-o', 'fsname=pinfs#r');
  t.equal(named.mount.fsname, 'pinfs#r');
});

void t.test('flags and -o add up, and a default undoes nothing', async (t) => {
  const flags = ['--key', 'a', '--deadline', '7', '--driver', 'fuse-native', '--no-xattrs'];
  const { options, mount } = await specOf(
    ...flags,
    'dir',
    'mnt',
    '-o',
    'key=b',
    '-o',
    'offline,strict',
  );
  t.match(options, { keys: ['a', 'b'], offline: true, strict: true });
  t.match(mount, { deadline: 7000, driver: 'fuse-native', noXattrs: true });
});

void t.test('wrong values are wrong usage, in either form', async (t) => {
  for (const option of [
    'driver=none',
    'deadline=0',
    'min_rate=0',
    'cache_limit=much',
    'frob',
    'uid=0',
  ]) {
    await t.rejects(specOf('dir', 'mnt', '-o', option), { code: 'USAGE' }, option);
  }
  await t.rejects(specOf('dir', 'mnt', '--deadline', 'soon'), { code: 'USAGE' });
  await t.rejects(specOf('dir', 'mnt', '--driver', 'none'), { code: 'commander.invalidArgument' });
});

void t.test('set-uid bits and devices are for root', async (t) => {
  for (const args of [['--suid'], ['--dev'], ['-o', 'allow_suid'], ['-o', 'allow_dev']]) {
    const asked = specOf('dir', 'mnt', ...args);
    if (root) t.ok((await asked).mount.suid || (await asked).mount.dev, args.join(' '));
    else await t.rejects(asked, { code: 'USAGE' });
  }
});
