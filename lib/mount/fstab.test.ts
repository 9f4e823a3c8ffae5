import t from 'tap';
import { translateMountOptions } from './fstab.js';

void t.test('an fstab line of a pinned worker node', (t) => {
  const text =
    'ro,nosuid,nodev,noauto,_netdev,x-systemd.automount,x-systemd.requires=network-online.target,' +
    'key=/etc/keys/a.pub,cache=/var/cache/pinfs,tag=2015-legacy,allow_other,dev,suid';
  t.same(translateMountOptions([text]), {
    flags: ['--key=/etc/keys/a.pub', '--cache=/var/cache/pinfs', '--allow-other'],
    pin: '2015-legacy',
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
  for (const option of ['frobnicate', 'noexec', 'key', 'offline=yes', 'toString', '__proto__=1']) {
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
