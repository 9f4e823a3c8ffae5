import t from 'tap';
import { deviceError, libraryError, mountError, mountRights, userAllowOther } from './device.js';

void t.test('what opening the device says is told as what it means', (t) => {
  const withCode = (code: string) => deviceError(Object.assign(new Error(code), { code }));
  t.equal(withCode('ENOENT').code, 'MOUNT_NO_DEVICE');
  t.equal(withCode('ENODEV').code, 'MOUNT_NO_DEVICE');
  t.equal(withCode('EACCES').code, 'MOUNT_NOT_PERMITTED');
  t.equal(withCode('EPERM').code, 'MOUNT_NOT_PERMITTED');
  t.equal(deviceError('odd').code, 'MOUNT_NO_DEVICE');
  t.end();
});

void t.test('rights to mount are read from the status of the process', (t) => {
  const status = (effective: string, bounding: string, noNew: string) =>
    `Name:\tnode\nCapEff:\t${effective}\nCapBnd:\t${bounding}\nNoNewPrivs:\t${noNew}\n`;
  const all = '000001ffffffffff';
  const withoutAdmin = '000001ffffdfffff';
  const nothing = '0000000000000000';
  t.equal(mountRights(status(all, all, '0'), true), 'own');
  t.equal(mountRights(status(nothing, all, '0'), false), 'helper');
  t.equal(mountRights(status(withoutAdmin, all, '0'), true), 'helper');
  t.equal(mountRights(status(withoutAdmin, withoutAdmin, '0'), true), 'none');
  t.equal(mountRights(status(nothing, all, '1'), false), 'none');
  t.equal(mountRights('', false), 'none');
  t.end();
});

void t.test('user_allow_other counts only as a line of its own', (t) => {
  t.ok(userAllowOther('# text\nuser_allow_other\n'));
  t.ok(userAllowOther('mount_max = 5\n  user_allow_other  '));
  t.notOk(userAllowOther('#user_allow_other\n'));
  t.notOk(userAllowOther('user_allow_other_not\n'));
  t.notOk(userAllowOther(''));
  t.end();
});

void t.test('a missing library is told with what brings it', (t) => {
  const missing = libraryError(
    new Error('libfuse.so.2: cannot open shared object file: No such file or directory'),
  );
  t.equal(missing.code, 'MOUNT_NO_LIBRARY');
  t.equal(missing.advice, 'apt-get install -y fuse3 libfuse2');
  const absent = libraryError(new Error("Cannot find package 'fuse-native'"));
  t.equal(absent.code, 'MOUNT_NO_LIBRARY');
  t.match(absent.advice, /npm install fuse-native/);
  t.end();
});

void t.test('a mount that fails says where', (t) => {
  t.equal(mountError(new Error('Mountpoint in use'), '/mnt').code, 'MOUNTPOINT_UNUSABLE');
  const failed = mountError(new Error('fuse failed'), '/mnt');
  t.equal(failed.code, 'MOUNT_FAILED');
  t.match(failed.message, '/mnt');
  t.end();
});
