import { execFile } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Driver, MountRequest } from '../../drivers/driver.js';
import { tinyFile, tinyFilesystem } from '../../drivers/tiny-filesystem.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { hashBytes } from '../../format/hash.js';
import { defaultWaitLimits } from '../../source/wait.js';
import type { Store } from '../../store/store.js';
import type { DirectoryTrial, TrialAnswer } from './trial.js';

/** The process that tries what can hang or end a process: started by trial.ts, which bounds it in time. */

// Milliseconds for one read.
const readTimeoutMs = 10_000;

async function main(what: string, place: string): Promise<TrialAnswer> {
  switch (what) {
    case 'kernel':
    case 'fuse-native':
      await serveOnce(what, place);
      return { ok: true };
    case 'directory':
      return { ok: true, ...(await useDirectory(place)) };
    default:
      throw new PinfsError('USAGE', `nothing is known about '${what}'`);
  }
}

/** Mounts, lets another process read a file, and unmounts. */
async function serveOnce(name: Driver['name'], mountpoint: string): Promise<void> {
  const mounted = await mountTiny(name, requestOf(mountpoint));
  try {
    const text = await readBy(join(mountpoint, tinyFile.name));
    if (text !== tinyFile.text) throw failed(`a file read ${JSON.stringify(text.slice(0, 80))}`);
    await mounted.unmount('orderly');
  } catch (thrown) {
    await mounted.unmount('force').catch(() => undefined);
    throw thrown;
  }
}

async function mountTiny(name: Driver['name'], request: MountRequest) {
  if (name === 'fuse-native') {
    return await (
      await import('../../drivers/fuse-native/driver.js')
    ).fuseNativeDriver.mount(request);
  }
  const { mountKernel } = await import('../../drivers/kernel/main/driver.js');
  const maker = new URL('../../drivers/kernel/worker/tiny-maker.js', import.meta.url).href;
  return await mountKernel(request, { maker });
}

function requestOf(mountpoint: string): MountRequest {
  const object = { hash: hashBytes('sha1', Buffer.alloc(0)), kind: 'catalog' } as const;
  const nothing = () => Promise.reject(failed('something was asked for that is not there'));
  return {
    mountpoint,
    source: 'pinfs:trial',
    descriptor: {
      cacheDirectory: '/',
      root: { object, compression: 'zlib', size: { kind: 'limit', bytes: 1 }, path: '' },
      tree: { variables: {}, owner: { uid: 0, gid: 0 } },
      identity: {
        fqrn: 'trial',
        tag: undefined,
        revision: 0,
        rootHash: '',
        pinned: true,
        sourceLabel: 'pinfs:trial',
        trust: '{}',
      },
    },
    filesystem: tinyFilesystem(),
    // Nothing else of it is used: the tiny filesystem lacks nothing.
    store: {
      directory: '/',
      shelf: { beginRun: () => undefined },
      fetch: nothing,
    } as unknown as Store,
    lifetime: 'pinned',
    allowOther: false,
    suid: false,
    dev: false,
    noXattrs: false,
    ...defaultWaitLimits,
    log: () => undefined,
  };
}

function readBy(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: readTimeoutMs, killSignal: 'SIGKILL', cwd: '/' } as const;
    execFile('cat', ['--', path], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failed(`a file could not be read: ${stderr.trim() || error.message}`));
    });
  });
}

function failed(message: string): PinfsError {
  return new PinfsError('MOUNT_FAILED', message);
}

/** Makes a directory, opens a database there as the cache and the state are, and asks for fs-verity. */
async function useDirectory(place: string): Promise<DirectoryTrial> {
  mkdirSync(place, { mode: 0o700 });
  try {
    const { tryDatabase } = await import('../../store/trial.js');
    tryDatabase(join(place, 'trial.db'));
    return { verity: await verityOf(join(place, 'file')) };
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

// _IOWR('f', 134, struct fsverity_digest), and what it says of a file that has none (fsverity.rst of the kernel).
const FS_IOC_MEASURE_VERITY = 0xc0046686;
const ENODATA = 61;

async function verityOf(path: string): Promise<boolean | undefined> {
  writeFileSync(path, 'x');
  const fd = openSync(path, 'r');
  try {
    const { systemCalls } = await import('../../machine/system-calls.js');
    return systemCalls().ioctl(fd, FS_IOC_MEASURE_VERITY, Buffer.alloc(68)) === -ENODATA;
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

const [, , what = '', place = ''] = process.argv;
const answer = await main(what, place).catch((thrown: unknown): TrialAnswer => {
  const { message, advice } = asPinfsError(thrown);
  return { ok: false, message, mend: advice };
});
process.stdout.write(`${JSON.stringify(answer)}\n`, () => {
  process.exit(0);
});
