import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkout } from '../testing/genuine.js';
import { translateMountOptions } from './fstab.js';

void t.test('an fstab line of a pinned worker node', (t) => {
  const text =
    'ro,nosuid,nodev,noauto,_netdev,x-systemd.automount,x-systemd.requires=network-online.target,' +
    'key=/etc/keys/a.pub,cache=/var/cache/pinfs,tag=2015-legacy,allow_other,dev,suid';
  t.same(translateMountOptions([text]), {
    flags: ['--key=/etc/keys/a.pub', '--cache=/var/cache/pinfs', '--allow-other'],
    pin: '2015-legacy',
    fsname: undefined,
    noExec: false,
    writable: false,
    remount: false,
  });
  t.end();
});

void t.test('suid and dev of mount.fuse3 are nobody’s wish; allow_suid and allow_dev are', (t) => {
  t.same(translateMountOptions(['rw,suid,dev']).flags, []);
  t.same(translateMountOptions(['allow_suid', 'allow_dev']).flags, ['--suid', '--dev']);
  t.end();
});

void t.test('keys may repeat, quotes keep commas', (t) => {
  t.same(translateMountOptions(['key="/etc/a,b",key=/c,,ro']).flags, [
    '--key=/etc/a,b',
    '--key=/c',
  ]);
  t.end();
});

void t.test('unknown options are refused by name', (t) => {
  for (const option of ['frobnicate', 'key', 'offline=yes', 'toString', '__proto__=1']) {
    t.throws(
      () => translateMountOptions([`ro,${option}`]),
      { code: 'USAGE', message: `the mount option '${option}' is not known` },
      option,
    );
  }
  t.end();
});

void t.test('a second pin is refused', (t) => {
  t.throws(() => translateMountOptions(['tag=a,hash=b']), { code: 'USAGE' });
  t.throws(() => translateMountOptions(['tag=']), { code: 'USAGE' });
  t.end();
});

void t.test('of contrary words the last one counts', (t) => {
  t.match(translateMountOptions(['rw,noexec,exec,ro']), { noExec: false, writable: false });
  t.match(translateMountOptions(['defaults,ro', 'exec,noexec,rw']), {
    noExec: true,
    writable: true,
  });
  t.match(translateMountOptions(['remount,fsname=pinfs#http://127.0.0.1/a']), {
    remount: true,
    fsname: 'pinfs#http://127.0.0.1/a',
  });
  t.end();
});

void t.test('what can not be had is refused with the reason', (t) => {
  const reasons = {
    'uid=0': /published/,
    'gid=5': /published/,
    'umask=0': /published/,
    'context="a,b"': /labels/,
    nosymfollow: /links/,
    'subtype=other': /always pinfs/,
    allow_root: /allow_other/,
    drop_privileges: /mount\.fuse3/,
    'setuid=nobody': /mount\.fuse3/,
    'user_id=0': /itself/,
  };
  for (const [option, message] of Object.entries(reasons)) {
    t.throws(() => translateMountOptions([`ro,${option}`]), { code: 'USAGE', message }, option);
  }
  t.doesNotThrow(() => translateMountOptions(['remount,ro,user_id=0,group_id=0']));
  t.end();
});

void t.test('the examples are lines that are understood', (t) => {
  const example = (name: string) =>
    readFileSync(join(checkout, 'share', 'systemd', name), 'utf8').split('\n');
  const lines = example('fstab.example').filter((line) => /^[^#\s]/.test(line));
  t.ok(lines.length >= 3);
  for (const line of lines) {
    const [source = '', , type, options = ''] = line.split(/\s+/);
    t.match(type, /^(fuse(\.pinfs)?|pinfs)$/);
    const { fsname } = translateMountOptions([options.replace(/\bdrop_privileges,/, '')]);
    if (type === 'fuse' || /drop_privileges/.test(options)) t.equal(fsname, source, line);
  }
  const unit = example('cvmfs-analysis.mount').find((line) => line.startsWith('Options='));
  t.match(translateMountOptions([unit?.slice(8) ?? 'none']), { pin: '2015-legacy' });
  t.end();
});

t.test('options of mount -t cvmfs are understood where they mean something', (t) => {
  t.match(translateMountOptions(['ro,config=/etc/x.conf,cvmfs_suid,simple_options_parsing']), {
    flags: ['--config=/etc/x.conf', '--suid'],
  });
  for (const option of ['grab_mountpoint', 'disable_watchdog', 'system_mount', 'libfuse=3'])
    t.throws(() => translateMountOptions([option]), { code: 'USAGE', message: /is refused: / });
  t.end();
});

t.test('of two pins the last one counts for a remount, and is a mistake otherwise', (t) => {
  t.match(translateMountOptions(['tag=a', 'remount,tag=b']), { pin: 'b', remount: true });
  t.throws(() => translateMountOptions(['tag=a,tag=b']), { message: /'tag=b' is a second pin/ });
  t.end();
});
