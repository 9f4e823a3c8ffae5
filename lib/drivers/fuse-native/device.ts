import { constants } from 'node:fs';
import { access, open, readdir, readFile } from 'node:fs/promises';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { mountRights } from '../../machine/capabilities.js';
import {
  fuseConfigurationPath,
  userAllowOtherLine,
  usersMayShare,
} from '../../machine/fuse-conf.js';

/** What this machine lacks for a mount through libfuse, found before libfuse is asked: it says little. */

const device = '/dev/fuse';

const installLine = 'apt-get install -y fuse3 libfuse2';

/**
 * Checks the device and the permission for what is asked, for a mountpoint that can be used.
 * @throws PinfsError MOUNT_NO_DEVICE, MOUNT_NOT_PERMITTED, MOUNT_NO_LIBRARY (no fusermount),
 *   MOUNTPOINT_UNUSABLE (not empty, for others than root: libfuse 2 refuses that).
 */
export async function checkDevice(mountpoint: string, allowOther: boolean): Promise<void> {
  await open(device, 'r+').then(
    (handle) => handle.close(),
    (error: unknown) => {
      throw deviceError(error);
    },
  );
  const root = process.getuid?.() === 0;
  const rights = mountRights(await readFile('/proc/self/status', 'utf8'), root);
  if (rights === 'none') {
    throw new PinfsError('MOUNT_NOT_PERMITTED', 'this process may not mount, nor may fusermount', {
      advice: 'In a container: run it with --cap-add SYS_ADMIN --device /dev/fuse.',
    });
  }
  if (rights === 'own') return;
  await checkFusermount();
  if (root) return;
  if ((await readdir(mountpoint)).length > 0) {
    throw new PinfsError('MOUNTPOINT_UNUSABLE', `${mountpoint} is not empty`, {
      advice: 'Through libfuse only root can mount over files. Name an empty directory.',
    });
  }
  if (!allowOther) return;
  if (!usersMayShare()) {
    throw new PinfsError(
      'MOUNT_NOT_PERMITTED',
      `--allow-other is for root only, unless ${fuseConfigurationPath} has a line ${userAllowOtherLine}`,
      { advice: `As root: echo ${userAllowOtherLine} >> ${fuseConfigurationPath}` },
    );
  }
}

/** The error of opening the device, as what it means. */
export function deviceError(error: unknown): PinfsError {
  const code = errorCode(error) ?? 'unknown';
  if (code === 'EACCES' || code === 'EPERM') {
    return new PinfsError('MOUNT_NOT_PERMITTED', `${device} may not be opened by this user`, {
      advice: `As root: chmod 0666 ${device}. In a container: run it with --device ${device}.`,
      cause: error,
    });
  }
  return new PinfsError('MOUNT_NO_DEVICE', `${device} can't be used here (${code})`, {
    advice: 'As root: modprobe fuse. In a container: run it with --device /dev/fuse.',
    cause: error,
  });
}

async function checkFusermount(): Promise<void> {
  const places = ['/bin', ...(process.env['PATH'] ?? '').split(':')];
  for (const place of places) {
    const found = await access(`${place}/fusermount`, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return;
  }
  throw new PinfsError('MOUNT_NO_LIBRARY', 'fusermount, through which users mount, is missing', {
    advice: installLine,
  });
}

/** Why the package could not be loaded. */
export function libraryError(error: unknown): PinfsError {
  const message = error instanceof Error ? error.message : String(error);
  if (/libfuse\.so|cannot open shared object/.test(message)) {
    return new PinfsError('MOUNT_NO_LIBRARY', 'libfuse 2 is missing', {
      advice: installLine,
      cause: error,
    });
  }
  return new PinfsError('MOUNT_NO_LIBRARY', `the package fuse-native can't be used: ${message}`, {
    advice: `${installLine} && npm install fuse-native (it is optional, and has binaries for x64 only)`,
    cause: error,
  });
}

/** What fuse-native says when it can't mount; libfuse itself only writes to the standard error. */
export function mountError(error: Error, mountpoint: string): PinfsError {
  if (error.message === 'Mountpoint in use') {
    return new PinfsError('MOUNTPOINT_UNUSABLE', `${mountpoint} is already a mountpoint`, {
      advice: `Unmount it first: umount '${mountpoint}'`,
      cause: error,
    });
  }
  return new PinfsError(
    'MOUNT_FAILED',
    `${mountpoint}: libfuse could not mount (${error.message})`,
    {
      advice:
        'Its own words stand on the standard error. pinfs doctor shows what this machine lacks.',
      cause: error,
    },
  );
}
