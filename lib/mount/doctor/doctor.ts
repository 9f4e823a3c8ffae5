import type { CacheProbe, ModuleProbe, NativeModule, Probes } from './probes.js';
import { fuseConfigurationPath, userAllowOtherLine } from '../../machine/fuse-conf.js';

/** One thing that was looked at, and how to mend it where it needs that. */
export interface Finding {
  readonly what: string;
  /** `problem`: something can't be done. `note`: works, or is needed by few. */
  readonly state: 'good' | 'note' | 'problem';
  readonly message: string;
  readonly mend: string | undefined;
}

export interface Diagnosis {
  /** At least one driver can mount here, for this user. */
  readonly canMount: boolean;
  readonly drivers: { readonly kernel: boolean; readonly 'fuse-native': boolean };
  /** Debian's packages that a mount needs and that are missing; none when one driver works. */
  readonly packages: readonly string[];
  readonly findings: readonly Finding[];
}

/** Judges what was found out. No effect, no clock: the same facts give the same words. */
export function diagnose(probes: Probes): Diagnosis {
  const drivers = { kernel: kernelWorks(probes), 'fuse-native': fuseNativeWorks(probes) };
  const canMount = (drivers.kernel || drivers['fuse-native']) && isReadable(probes);
  return {
    canMount,
    drivers,
    packages: canMount ? [] : missingPackages(probes),
    findings: [
      summary(probes, drivers, canMount),
      ...trials(probes, canMount),
      node(probes),
      device(probes),
      kernelModule(probes),
      fusermount(probes),
      userNamespaces(probes),
      allowOther(probes),
      ...probes.modules.map((module) => nativeModule(module)),
      cache('cache', probes.cache),
      ...(probes.state === undefined ? [] : [cache('state', probes.state)]),
      verity(probes),
      clock(probes),
      oldPrograms(probes),
    ],
  };
}

function missingPackages(probes: Probes): string[] {
  const { fusermount: helper, modules } = probes;
  const library = modules.find(({ name }) => name === 'fuse-native')?.problem?.includes('libfuse');
  return [...(helper === undefined ? ['fuse3'] : []), ...(library === true ? ['libfuse2'] : [])];
}

/** Whether somebody mounts for us: we ourselves, or a set-uid fusermount. */
function mountable(probes: Probes): boolean {
  const { device, mayMount, fusermount: helper, named } = probes;
  return device === 'usable' && (mayMount || (helper?.setuid === true && named));
}

function kernelWorks(probes: Probes): boolean {
  const served = probes.trials.kernel === undefined;
  return probes.platform === 'linux' && loads(probes, 'koffi') && mountable(probes) && served;
}

function fuseNativeWorks(probes: Probes): boolean {
  const reachable = probes.platform === 'linux' ? mountable(probes) : true;
  return loads(probes, 'fuse-native') && reachable && probes.trials['fuse-native'] === undefined;
}

/** What every mount needs besides the way to the kernel: SQLite, and a cache to put things into. */
function isReadable(probes: Probes): boolean {
  const places = [probes.cache, ...(probes.state === undefined ? [] : [probes.state])];
  return loads(probes, 'better-sqlite3') && places.every(isUsable);
}

function isUsable({ state, database }: CacheProbe): boolean {
  return database === undefined && (state === 'usable' || state === 'to-be-made');
}

/** Where one driver works, what keeps the other from it is worth a note. */
function trials({ trials: refused }: Probes, canMount: boolean): Finding[] {
  return (['kernel', 'fuse-native'] as const).flatMap((driver) => {
    const failure = refused[driver];
    if (failure === undefined) return [];
    const message = `a mount with the ${driver} driver was tried: ${failure.message}`;
    const mend = failure.mend ?? 'Mend the problems below.';
    return [canMount ? note('trial', message, mend) : problem('trial', message, mend)];
  });
}

function loads(probes: Probes, name: NativeModule): boolean {
  return probes.modules.some((module) => module.name === name && module.loads);
}

function good(what: string, message: string): Finding {
  return { what, state: 'good', message, mend: undefined };
}

function note(what: string, message: string, mend?: string): Finding {
  return { what, state: 'note', message, mend };
}

function problem(what: string, message: string, mend: string): Finding {
  return { what, state: 'problem', message, mend };
}

function summary(probes: Probes, drivers: Diagnosis['drivers'], canMount: boolean): Finding {
  const who = probes.uid === 0 ? 'root' : 'this user';
  if (canMount && drivers.kernel)
    return good('mounting', `works for ${who}, with the kernel driver`);
  if (canMount && drivers['fuse-native']) {
    return note('mounting', `works for ${who}, with the slower fuse-native driver only`);
  }
  return problem(
    'mounting',
    `does not work for ${who}`,
    "Mend the problems below. Without FUSE, 'pinfs ls', 'cat', 'cp', 'find' and 'check' still read everything.",
  );
}

/** As in package.json, `engines`. */
const leastNode = [20, 19] as const;

function node({ node: version, architecture }: Probes): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1]);
  if (!enough) {
    const wanted = leastNode.join('.');
    return problem('node', `${version} is too old`, `Install Node ${wanted} or later.`);
  }
  if (major !== leastNode[0] || architecture !== 'x64') {
    return note('node', `${version} on ${architecture}: tested on Node 20, x64 only`);
  }
  return good('node', version);
}

function device(probes: Probes): Finding {
  if (probes.platform !== 'linux') return note('device', `no /dev/fuse on ${probes.platform}`);
  switch (probes.device) {
    case 'usable':
      return good('device', '/dev/fuse can be opened');
    case 'absent':
      return problem(
        'device',
        '/dev/fuse does not exist',
        'As root: modprobe fuse. In a container: start it with --device /dev/fuse --cap-add SYS_ADMIN.',
      );
    case 'denied':
      return problem(
        'device',
        '/dev/fuse may not be opened by this user',
        'As root: chmod 0666 /dev/fuse (its usual mode; udev sets it where it runs). In a container: --device /dev/fuse.',
      );
    case 'no-driver':
      return problem('device', '/dev/fuse has no driver behind it', 'As root: modprobe fuse.');
  }
}

function kernelModule({ kernelModule: known, platform }: Probes): Finding {
  if (platform !== 'linux' || known === undefined) return note('kernel', 'could not be seen');
  if (known) return good('kernel', 'knows FUSE');
  return problem('kernel', 'does not know FUSE', 'As root: modprobe fuse.');
}

function fusermount({ fusermount: helper, mayMount, named }: Probes): Finding {
  const what = 'fusermount';
  const install = 'As root: apt-get install -y fuse3';
  if (helper === undefined) {
    const message = 'neither fusermount3 nor fusermount is installed';
    return mayMount
      ? note(what, `${message}; root mounts without`, install)
      : problem(what, message, install);
  }
  if (mayMount) return good(what, helper.path);
  if (!helper.setuid) {
    return problem(
      what,
      `${helper.path} is not set-uid root`,
      `As root: chown root ${helper.path} && chmod 4755 ${helper.path}`,
    );
  }
  if (!named) {
    return problem(
      what,
      `${helper.path} mounts only for users of /etc/passwd, and this one has no line there`,
      'As root: useradd -u UID NAME.',
    );
  }
  return good(what, `${helper.path}, set-uid root`);
}

function userNamespaces({ userNamespaces: state, platform }: Probes): Finding {
  const what = 'namespaces';
  if (platform !== 'linux') return note(what, `no user namespaces on ${platform}`);
  switch (state) {
    case 'allowed':
      return good(what, "users may make their own ('unshare -Urm' mounts with no fusermount)");
    case 'forbidden':
      return note(
        what,
        'users may not make their own; fusermount3 is needed',
        'As root: sysctl -w user.max_user_namespaces=10000 (on Debian also kernel.unprivileged_userns_clone=1).',
      );
    case 'restricted':
      return note(
        what,
        'AppArmor keeps users from mounting in their own; fusermount3 is needed',
        'As root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0.',
      );
  }
}

function allowOther({ userAllowOther, mayMount }: Probes): Finding {
  const what = 'allow-other';
  if (mayMount) return good(what, '--allow-other works for root');
  if (userAllowOther) return good(what, `${fuseConfigurationPath} lets users share their mounts`);
  return note(
    what,
    '--allow-other is for root only here; other users do not see your mounts',
    `As root: echo ${userAllowOtherLine} >> ${fuseConfigurationPath}`,
  );
}

function nativeModule({ name, loads: works, problem: why }: ModuleProbe): Finding {
  if (works) return good(name, 'loads');
  const message = `does not load: ${why ?? 'no reason given'}`;
  switch (name) {
    case 'better-sqlite3':
      return problem(
        name,
        message,
        'apt-get install -y build-essential python3 && npm rebuild better-sqlite3',
      );
    case 'koffi':
      return note(name, `${message}; the kernel driver needs it`, 'npm install koffi');
    case 'fuse-native':
      return note(
        name,
        `${message}; the fuse-native driver needs it`,
        'apt-get install -y libfuse2 fuse3, then npm rebuild fuse-native',
      );
  }
}

/** Bytes: below this a cache is of little use. */
const littleSpaceBytes = 512 * 2 ** 20;

function cache(what: 'cache' | 'state', { directory, state, free, database }: CacheProbe): Finding {
  const elsewhere =
    what === 'cache'
      ? 'Choose another one with --cache DIR or XDG_CACHE_HOME.'
      : 'Choose another one with XDG_STATE_HOME.';
  if (database !== undefined) {
    const message = `no database can be opened in ${directory}: ${database.message}`;
    return problem(what, message, database.mend ?? elsewhere);
  }
  switch (state) {
    case 'nowhere':
      return problem(what, directory, elsewhere);
    case 'denied':
      return problem(what, `${directory} may not be written by this user`, elsewhere);
    case 'foreign':
      return problem(what, `${directory} belongs to another user`, elsewhere);
    case 'open-to-group':
      return problem(what, `${directory} may be written by others`, `chmod go-w ${directory}`);
    case 'usable':
    case 'to-be-made': {
      const space = `${Math.floor(free / 2 ** 20)} MiB free`;
      const place = state === 'usable' ? directory : `${directory} will be made`;
      if (free >= littleSpaceBytes) return good(what, `${place}, ${space}`);
      return note(what, `${place}, only ${space}`, `Free some space. ${elsewhere}`);
    }
  }
}

/** It would keep what was verified from being changed; pinfs does not use it. */
function verity({ cache: { verity: available } }: Probes): Finding {
  const what = 'fs-verity';
  if (available === true)
    return good(what, "the cache's file system has it; pinfs does not use it");
  if (available === false)
    return good(what, "the cache's file system has none, and none is needed");
  return note(what, 'could not be seen', 'Nothing has to be done: pinfs does not use it.');
}

/** Programs that can't hold inode numbers of 63 bits. */
function oldPrograms({ oldPrograms: run }: Probes): Finding {
  const what = 'inodes';
  if (!run) return good(what, 'have 63 bits; no programs of 32 bits run here by themselves');
  return note(
    what,
    'have 63 bits, which 32-bit programs built without large-file support can\'t hold ("Value too large for defined data type", empty directories)',
    'For these programs: pinfs mount --inodes 32 (README, "Old 32-bit programs").',
  );
}

const dayMs = 86_400_000;
const tooFar = Date.UTC(2100, 0);

function clock({ clock: { now, installed } }: Probes): Finding {
  const shown = new Date(now).toISOString();
  if (now < installed - dayMs || now > tooFar) {
    return problem(
      'clock',
      `${shown} can't be right; whitelists would be judged as of a wrong day`,
      'Set it, for instance: timedatectl set-ntp true. Until then: --trust-at DATE.',
    );
  }
  return good('clock', shown);
}
