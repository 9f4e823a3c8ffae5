import { execFile } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  statfsSync,
  statSync,
  type Stats,
} from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { errorReason } from '../../format/errno.js';
import { asPinfsError } from '../../format/errors.js';
import { directories, processEnvironment } from '../../repository/open/environment.js';
import type { Driver } from '../../drivers/driver.js';
import { hasSysAdmin } from '../../machine/capabilities.js';
import { usersMayShare } from '../../machine/fuse-conf.js';
import { tryDirectory, tryDriver, type TrialFailure } from './trial.js';

/** What was found out about this machine. Plain facts: doctor.ts judges them. */
export interface Probes {
  readonly platform: NodeJS.Platform;
  readonly architecture: string;
  readonly node: string;
  readonly uid: number;
  /** May mount without help: CAP_SYS_ADMIN. */
  readonly mayMount: boolean;
  /** Has a line in the user database; fusermount3 asks for one. */
  readonly named: boolean;
  readonly device: 'usable' | 'absent' | 'denied' | 'no-driver';
  /** The kernel knows FUSE (/proc/filesystems); undefined: could not be seen. */
  readonly kernelModule: boolean | undefined;
  readonly fusermount: { readonly path: string; readonly setuid: boolean } | undefined;
  readonly userNamespaces: 'allowed' | 'forbidden' | 'restricted';
  readonly userAllowOther: boolean;
  readonly modules: readonly ModuleProbe[];
  readonly cache: CacheProbe;
  /** Undefined: there is no place for either. */
  readonly state?: CacheProbe | undefined;
  /** By driver, why a tiny tree that it should serve could not be read; undefined: it could, or was not tried. */
  readonly trials: Readonly<Partial<Record<Driver['name'], TrialFailure>>>;
  /** Milliseconds since 1970: the clock, and the date of this installation, which can't be later. */
  readonly clock: { readonly now: number; readonly installed: number };
  /** A loader of 32-bit programs is installed (their place by the ABIs of Linux). */
  readonly oldPrograms: boolean;
}

export interface ModuleProbe {
  readonly name: NativeModule;
  readonly loads: boolean;
  /** First line of why it does not. */
  readonly problem: string | undefined;
}

export type NativeModule = 'better-sqlite3' | 'fuse-native' | 'koffi';

export interface CacheProbe {
  readonly directory: string;
  readonly state: 'usable' | 'to-be-made' | 'denied' | 'foreign' | 'open-to-group' | 'nowhere';
  /** Free bytes where it lies, or will lie. */
  readonly free: number;
  /** Why no database can be opened there; undefined: it can, or was not tried. */
  readonly database?: TrialFailure | undefined;
  /** Its file system has fs-verity; undefined: could not be seen. */
  readonly verity?: boolean | undefined;
}

/** Looks at this machine, and mounts for a moment in a private place; nothing is changed. */
export async function probeMachine(cache: string | undefined): Promise<Probes> {
  const uid = process.getuid?.() ?? 0;
  const modules = await Promise.all(
    Object.keys(loadingCode).map((name) => probeModule(name as NativeModule)),
  );
  const device = probeDevice();
  const loads = (name: NativeModule) => modules.some((one) => one.name === name && one.loads);
  const [{ cache: cacheProbe, state }, trials] = await Promise.all([
    probePlaces(cache, uid, loads('better-sqlite3')),
    device === 'usable' ? probeDrivers(loads) : {},
  ]);
  return {
    platform: process.platform,
    architecture: process.arch,
    node: process.versions.node,
    uid,
    mayMount: hasSysAdmin(text('/proc/self/status') ?? '', 'CapEff'),
    named: named(),
    device,
    kernelModule: text('/proc/filesystems')?.includes('\tfuse\n'),
    fusermount: probeFusermount(),
    userNamespaces: probeUserNamespaces(),
    userAllowOther: usersMayShare(),
    modules,
    cache: cacheProbe,
    state,
    trials,
    clock: { now: Date.now(), installed: statSync(import.meta.filename).mtimeMs },
    oldPrograms: ['/lib/ld-linux.so.2', '/lib/ld-linux-armhf.so.3'].some((path) =>
      existsSync(path),
    ),
  };
}

/** Both at once: each is a process of its own. */
async function probeDrivers(loads: (name: NativeModule) => boolean): Promise<Probes['trials']> {
  const attempt = (module: NativeModule, driver: Driver['name']) =>
    loads(module) && process.platform === 'linux' ? tryDriver(driver) : undefined;
  const [kernel, fuseNative] = await Promise.all([
    attempt('koffi', 'kernel'),
    attempt('fuse-native', 'fuse-native'),
  ]);
  return {
    ...(kernel === undefined ? {} : { kernel }),
    ...(fuseNative === undefined ? {} : { 'fuse-native': fuseNative }),
  };
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** undefined for what is missing, and for what we may not look at. */
function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function named(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

function probeDevice(): Probes['device'] {
  try {
    closeSync(openSync('/dev/fuse', constants.O_RDWR));
    return 'usable';
  } catch (thrown) {
    switch (errorReason(thrown)) {
      case 'ENOENT':
        return 'absent';
      case 'ENODEV':
      case 'ENXIO':
        return 'no-driver';
      default:
        return 'denied';
    }
  }
}

function probeFusermount(): Probes['fusermount'] {
  const places = (process.env['PATH'] ?? '/usr/bin:/bin').split(delimiter);
  for (const name of ['fusermount3', 'fusermount']) {
    for (const place of places) {
      const found = lookAt(join(place, name));
      if (found?.isFile() !== true) continue;
      return { path: join(place, name), setuid: (found.mode & 0o4000) !== 0 && found.uid === 0 };
    }
  }
  return undefined;
}

/** Debian's, Ubuntu's and the kernel's own switches. */
function probeUserNamespaces(): Probes['userNamespaces'] {
  const most = Number(text('/proc/sys/user/max_user_namespaces') ?? '1');
  const clone = text('/proc/sys/kernel/unprivileged_userns_clone')?.trim();
  if (!existsSync('/proc/self/ns/user') || most === 0 || clone === '0') return 'forbidden';
  const apparmor = text('/proc/sys/kernel/apparmor_restrict_unprivileged_userns')?.trim();
  return apparmor === '1' ? 'restricted' : 'allowed';
}

/** Loading alone does not reach the native part of each one. */
const loadingCode: Readonly<Record<NativeModule, string>> = {
  'better-sqlite3': "new (require('better-sqlite3'))(':memory:').close()",
  'fuse-native': "require('fuse-native')",
  koffi: "require('koffi')",
};

const loadTimeoutMs = 20_000;

/** By a process of its own: a native module that does not fit can end the one that loads it. */
function probeModule(name: NativeModule): Promise<ModuleProbe> {
  return new Promise((resolve) => {
    const options = {
      cwd: import.meta.dirname,
      timeout: loadTimeoutMs,
      env: { PATH: process.env['PATH'] },
    };
    const args = ['--input-type=commonjs', '-e', loadingCode[name]];
    execFile(process.execPath, args, options, (error, _stdout, stderr) => {
      const problem = error === null ? undefined : firstReason(stderr, error.message);
      resolve({ name, loads: error === null, problem });
    });
  });
}

function firstReason(stderr: string, message: string): string {
  const line = stderr.split('\n').find((candidate) => /error/i.test(candidate));
  return (line ?? message.split('\n')[0] ?? '').trim().slice(0, 300);
}

/** Where the cache and the state lie, and what can be done there. */
async function probePlaces(
  cache: string | undefined,
  uid: number,
  sqlite: boolean,
): Promise<Pick<Probes, 'cache' | 'state'>> {
  const options = cache === undefined ? { source: '' } : { source: '', cache };
  let places: { readonly cache: string; readonly state: string };
  try {
    places = directories(options, processEnvironment);
  } catch (thrown) {
    return { cache: { directory: asPinfsError(thrown).message, state: 'nowhere', free: 0 } };
  }
  const both = [places.cache, places.state].map(async (directory) => {
    const found = probeDirectory(directory, uid);
    return sqlite ? { ...found, ...(await probeDatabase(found)) } : found;
  });
  const [found, state] = await Promise.all(both);
  if (found === undefined) throw new Error('there are two');
  return { cache: found, state };
}

/** Where a directory is to be made, its file system is tried above it. */
async function probeDatabase({
  directory,
  state,
}: CacheProbe): Promise<Pick<CacheProbe, 'database' | 'verity'>> {
  if (state !== 'usable' && state !== 'to-be-made') return {};
  const answer = await tryDirectory(nearest(directory));
  if (answer.ok) return { verity: answer.verity };
  return { database: { message: answer.message, mend: answer.mend } };
}

function probeDirectory(directory: string, uid: number): CacheProbe {
  const found = lookAt(directory);
  const existing = nearest(directory);
  const free = freeBytes(existing);
  if (!writable(existing)) return { directory, state: 'denied', free };
  if (found === undefined) return { directory, state: 'to-be-made', free };
  if (found.uid !== uid) return { directory, state: 'foreign', free };
  if ((found.mode & 0o022) !== 0) return { directory, state: 'open-to-group', free };
  return { directory, state: 'usable', free };
}

function freeBytes(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return 0;
  }
}

/** The directory itself, or the closest one above it that exists. */
function nearest(directory: string): string {
  return existsSync(directory) || dirname(directory) === directory
    ? directory
    : nearest(dirname(directory));
}

function writable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
