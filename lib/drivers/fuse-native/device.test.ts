import t from 'tap';
import { deviceError, libraryError, mountError } from './device.js';

void t.test('what opening the device says is told as what it means', (t) => {
  const withCode = (code: string) => deviceError(Object.assign(new Error(code), { code }));
  t.equal(withCode('ENOENT').code, 'MOUNT_NO_DEVICE');
  t.equal(withCode('ENODEV').code, 'MOUNT_NO_DEVICE');
  t.equal(withCode('EACCES').code, 'MOUNT_NOT_PERMITTED');
  t.equal(withCode('EPERM').code, 'MOUNT_NOT_PERMITTED');
  t.equal(deviceError('odd').code, 'MOUNT_NO_DEVICE');
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
