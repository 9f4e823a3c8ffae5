import { getSystemErrorName } from 'node:util';
import { errno, errorCode } from '../../../format/errno.js';
import { PinfsError } from '../../../format/errors.js';
import { fuseConfigurationPath, userAllowOtherLine } from '../../../machine/fuse-conf.js';

/** Why a mount can't be made, in the words of whoever refused it, and what to do about it. */
const noDevice =
  'load the kernel module (`modprobe fuse`); in a container pass the device (`--device /dev/fuse`)';

export const devicePath = '/dev/fuse';

/** Opening the device failed. */
export function deviceFailed(cause: unknown): PinfsError {
  const code = errorCode(cause) ?? 'an error';
  if (code === 'EACCES' || code === 'EPERM') {
    return new PinfsError('MOUNT_NOT_PERMITTED', `${devicePath} may not be opened: ${code}`, {
      advice: 'it must be readable and writable; in a container pass it with `--device /dev/fuse`',
      cause,
    });
  }
  const message = `there is no FUSE device: opening ${devicePath} gives ${code}`;
  return new PinfsError('MOUNT_NO_DEVICE', message, { advice: noDevice, cause });
}

/** mount(2) gave this errno. */
export function mountFailed(mountpoint: string, number: number): PinfsError {
  const said = `mount(2) on ${mountpoint} says ${words(number)}`;
  if (number === errno.EPERM || number === errno.EACCES) {
    return new PinfsError('MOUNT_NOT_PERMITTED', said, {
      advice:
        'mounting needs CAP_SYS_ADMIN: in a container `--cap-add SYS_ADMIN`, or `unshare -Urm`',
    });
  }
  if (number === errno.ENODEV) {
    return new PinfsError('MOUNT_NO_DEVICE', `${said}: this kernel has no FUSE`, {
      advice: noDevice,
    });
  }
  return new PinfsError('MOUNT_FAILED', said);
}

/** fusermount3 ended with this code, and these words. */
export function helperFailed(mountpoint: string, code: number, words: string): PinfsError {
  const said = words === '' ? `fusermount3 ended with ${code}` : words;
  if (/allow_other/.test(words)) {
    return new PinfsError('MOUNT_NOT_PERMITTED', said, {
      advice: `root can put \`${userAllowOtherLine}\` into ${fuseConfigurationPath}; or mount without --allow-other`,
    });
  }
  if (/device not found/.test(words)) {
    return new PinfsError('MOUNT_NO_DEVICE', said, { advice: noDevice });
  }
  if (/[Pp]ermission denied|not permitted|no write access|user has no/.test(words)) {
    return new PinfsError('MOUNT_NOT_PERMITTED', `can't mount on ${mountpoint}: ${said}`, {
      advice:
        'the mountpoint must be yours, /dev/fuse readable, and fusermount3 set-uid root; or use `unshare -Urm`',
    });
  }
  if (/could not determine username/.test(words)) {
    return new PinfsError('MOUNT_NOT_PERMITTED', `can't mount on ${mountpoint}: ${said}`, {
      advice:
        'fusermount3 mounts only for users that have a name: give this user ID a line in /etc/passwd, or use `unshare -Urm`',
    });
  }
  return new PinfsError('MOUNT_FAILED', `can't mount on ${mountpoint}: ${said}`);
}

/** The name of an errno. */
export function words(number: number): string {
  return getSystemErrorName(-number);
}
