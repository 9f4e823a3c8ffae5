import { spawn } from 'node:child_process';
import { machineFault, PinfsError } from '../../../format/errors.js';
import { systemCalls } from '../../../machine/system-calls.js';
import { helperFailed } from './mount-errors.js';

/**
 * The set-uid helper by which an ordinary user mounts: it opens the device, mounts, and sends the
 * descriptor over a socket whose number stands in the environment.
 */
const helper = 'fusermount3';
const timeoutMs = 10_000;

/** Mounts and gives the device. @throws PinfsError MOUNT_NOT_PERMITTED, MOUNT_FAILED. */
export async function fusermount(mountpoint: string, options: string): Promise<number> {
  const calls = systemCalls();
  const pair = calls.socketPair(true);
  if (typeof pair === 'number') {
    throw new PinfsError('MOUNT_FAILED', `no socket for ${helper}: errno ${-pair}`);
  }
  const [ours, theirs] = pair;
  try {
    const { code, words } = await runHelper(['-o', options, '--', mountpoint], theirs);
    if (code !== 0) throw helperFailed(mountpoint, code, words);
    const device = calls.receiveDescriptor(ours);
    if (device < 0) {
      throw new PinfsError('MOUNT_FAILED', `${helper} gave no device: errno ${-device}`);
    }
    calls.adopt(device);
    return device;
  } finally {
    calls.close(ours);
    calls.close(theirs);
  }
}

function runHelper(
  commandLine: readonly string[],
  socket: number,
): Promise<{ code: number; words: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(helper, commandLine, {
      stdio: ['ignore', 'ignore', 'pipe', socket],
      env: { ...process.env, _FUSE_COMMFD: '3' },
      timeout: timeoutMs,
    });
    let words = '';
    child.stderr?.on('data', (data: Buffer) => {
      if (words.length < 4096) words += data.toString('utf8');
    });
    child.on('error', (cause) => {
      reject(
        machineFault(cause) ??
          new PinfsError(
            'MOUNT_NOT_PERMITTED',
            `an ordinary user mounts through ${helper}, which does not run here`,
            {
              advice: 'install the package fuse3, or mount as root or inside `unshare -Urm`',
              cause,
            },
          ),
      );
    });
    child.on('close', (code) => {
      resolve({ code: code ?? -1, words: words.trim() });
    });
  });
}
