import { Command, CommanderError } from 'commander';
import { fromText, printable, printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { defaultDeadline, type MountOptions, type DriverChoice } from '../../lib/mount/options.js';
import { parseMetricsAddress } from '../../lib/mount/metrics/address.js';
import type { TranslatedOptions } from '../../lib/mount/fstab.js';
import {
  withAbsolutePaths,
  withoutPin,
  shownSource,
  type MountSpec,
} from '../../lib/mount/mount-spec.js';
import type { MountStatus } from '../../lib/mount/session/status.js';
import { mountOptionTable, protectionOptionTable } from '../../lib/options/mount-options.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { valuesOf } from '../../lib/options/rows.js';
import { runAction, warn, warnOffline } from './failures.js';
import {
  addOptions,
  openOptions,
  sourceArgument,
  sourceOptions,
  type SourceFlags,
} from './options.js';
import { printJson } from './output.js';
import { startWaiting } from './progress.js';
import { applySettings } from './settings.js';
import { paintedStatus } from './look.js';
import { formatSize } from './sizes.js';
import { placeOf, tellingEnvironment, withNames } from './with-repository.js';

const mountCommandOptions = {
  foreground: {
    flag: '--foreground',
    kind: 'flag',
    fstab: false,
    help: 'stay, and write the log to stderr',
    manual: 'Stays, and writes the log to the standard error.',
  },
  with: {
    flag: '--with',
    value: 'source[@pin]=dir',
    kind: 'text',
    repeatable: true,
    fstab: false,
    conflicts: 'atLogin',
    help: 'mount this one too, in the same process',
    manual:
      'Mounts this one too, by the same process and with the same options, which takes less memory than a process for each. Each ' +
      'mount has its own status and is unmounted for itself; signals to the process end them all. Either all are mounted or none. ' +
      '`--metrics`, `--log`, `--trace`, `--record` and `--learn` are of the first one.',
  },
  all: {
    flag: '--all',
    kind: 'flag',
    fstab: false,
    conflicts: 'with',
    help: 'mount what the table [mounts] of your settings has, by one process',
    manual:
      'Mounts, by one process, what the table `[mounts]` of the settings has and is not mounted yet; each with the options that ' +
      'the settings have for its source. See SETTINGS.',
  },
  atLogin: {
    flag: '--at-login',
    kind: 'flag',
    fstab: false,
    conflicts: 'foreground',
    help: 'a unit of your systemd that mounts it at each login',
    manual:
      'Writes a unit for the systemd of this user, `~/.config/systemd/user/pinfs-DIR.service`, which mounts it at each login ' +
      'with these options, says what it writes, and begins it at once where that systemd runs. `pinfs umount --at-login DIR` ' +
      'ends it and takes the unit back.',
  },
  /** Texts of `-o`, as mount(8) gives them. */
  o: {
    flag: '-o',
    value: 'options',
    kind: 'text',
    repeatable: true,
    help: 'options in the form of mount(8) and fstab(5)',
    manual:
      'In the form of `mount`(8) and `fstab`(5): pin=, tag=, hash= or date=, and the options above with ' +
      'underscores, such as `cache_limit=1G`; `allow_suid` and `allow_dev` for `--suid` and `--dev`. `fsname=` ' +
      'is what the kernel shows as the source (otherwise the source as it is given). `noexec` is honoured, ' +
      "and a `remount` that changes nothing or the pin alone (see repin); what can't be had is refused with the reason.",
  },
} as const satisfies OptionRows;

export type MountFlags = SourceFlags &
  OptionValues<typeof mountOptionTable> &
  OptionValues<typeof protectionOptionTable> &
  OptionValues<typeof mountCommandOptions> &
  // Only in the options of -o.
  Pick<MountOptions, 'fsname' | 'noExec'>;

const description = `mount a snapshot, read-only

Goes to the background once the mount can be used. The form that mount(8) calls works as well:
  pinfs SOURCE DIR -o pin=TAG,key=FILE,cache=DIR,allow_other`;

export function register(program: Command): void {
  mountCommand(program.command('mount')).action(
    async (
      source: string | undefined,
      mountpoint: string | undefined,
      flags: MountFlags,
      command: Command,
    ) => {
      await runAction(flags, async () => {
        if (flags.all === true) {
          await mountAll(source, flags, command);
          return;
        }
        if (source === undefined || mountpoint === undefined)
          throw lacking(source === undefined ? 'source[@pin]' : 'mountpoint');
        const asked = await withMountOptions(source, mountpoint, command);
        const { spec, isName } = await namedSpec(mountpoint, asked);
        if (asked.translated !== undefined && (await isDone(spec, asked.translated))) return;
        if (flags.atLogin === true) await laterToo(isName ? source : undefined, spec, command);
        else {
          const { with: texts = [] } = asked.flags;
          const whole = texts.length === 0 ? spec : await addOthers(spec, texts, command);
          await mountAndPrint(whole, asked.flags);
        }
      });
    },
  );
}

function lacking(argument: string): PinfsError {
  return new PinfsError('USAGE', `missing required argument '${argument}'`, {
    advice: 'See: pinfs mount --help',
  });
}

async function mountAll(
  source: string | undefined,
  flags: MountFlags,
  command: Command,
): Promise<void> {
  if (source !== undefined)
    throw new PinfsError('USAGE', '--all mounts what the settings have, and nothing else', {
      advice: 'Give a source and a directory without it, or --with SOURCE@PIN=DIR besides.',
    });
  const { settingsMounts } = await import('./mount-with.js');
  const spec = await settingsMounts(command, { parse: parseAgain, named: namedSpec });
  if (spec !== undefined) await mountAndPrint(spec, flags);
}

async function addOthers(
  spec: MountSpec,
  texts: readonly string[],
  command: Command,
): Promise<MountSpec> {
  const { withOthers } = await import('./mount-with.js');
  return withOthers(spec, texts, command, { parse: parseAgain, named: namedSpec });
}

/** What is asked for; a name is looked up in the site's configuration. */
async function namedSpec(
  mountpoint: string,
  { source, flags, translated }: AskedMount,
): Promise<{ readonly spec: MountSpec; readonly isName: boolean }> {
  const given = mountSpec(source, mountpoint, flags);
  const options = await withNames(given.options, await tellingEnvironment(), {
    fromFstab: translated !== undefined,
  });
  // What stands in fstab, so that mount(8) sees that it is mounted.
  const isName = options.site !== undefined && !options.source.startsWith('./');
  const named = isName && given.mount.fsname === undefined;
  const mount = named ? { ...given.mount, fsname: source } : given.mount;
  return { spec: { options, mount }, isName };
}

/** @param name the word that is looked up at login too, where the source is one */
async function laterToo(
  name: string | undefined,
  spec: MountSpec,
  command: Command,
): Promise<void> {
  const { options, mount } = withAbsolutePaths(spec);
  const { mountAtLogin } = await import('./at-login.js');
  await mountAtLogin(name ?? options.source, mount.mountpoint, command, command.opts());
}

/** Adds the arguments and options of `pinfs mount`. */
export function mountCommand(command: Command): Command {
  sourceOptions(command, 'mount')
    .description(description)
    .summary('mount a snapshot, read-only')
    .argument('[source[@pin]]', sourceArgument)
    .argument('[mountpoint]', 'an existing directory');
  const { o, ...others } = mountCommandOptions;
  for (const rows of [others, mountOptionTable, protectionOptionTable, { o }])
    addOptions(command, rows);
  return command;
}

/** What the command line asks for, with what stands behind `-o`. */
interface AskedMount {
  readonly source: string;
  readonly flags: MountFlags;
  /** The texts of `-o`, where there are any. */
  readonly translated?: TranslatedOptions;
}

/** Reads the texts of `-o` as if they stood on the command line as flags. */
export async function withMountOptions(
  source: string,
  mountpoint: string,
  command: Command,
): Promise<AskedMount> {
  const flags = command.opts<MountFlags>();
  const { o = [] } = flags;
  if (o.length === 0) return { source, flags };
  const { translateMountOptions } = await import('../../lib/mount/fstab.js');
  const translated = translateMountOptions(o);
  const { flags: given, pin, noExec } = translated;
  // As it stands in fstab, so that mount(8) sees that it is mounted.
  const fsname = translated.fsname ?? (pin === undefined ? undefined : shownSource(source));
  // The source that the mount table shows may have the pin of the time.
  const place = translated.remount ? withoutPin(source) : source;
  const whole = pin === undefined ? source : `${place}@${pin}`;
  const parsed = parseAgain([...given, '--', whole, mountpoint]);
  const merged: MountFlags = {
    ...flags,
    ...added(command, parsed),
    noExec,
    ...(fsname === undefined ? {} : { fsname }),
  };
  return { source: whole, flags: merged, translated };
}

/** @throws PinfsError USAGE for a value that the flag does not take. */
function parseAgain(args: readonly string[]): Command {
  const command = mountCommand(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  try {
    return command.parse(args, { from: 'user' });
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) throw thrown;
    throw new PinfsError('USAGE', `in the options of -o: ${thrown.message}`);
  }
}

/** Only what was given: a default must not undo a flag. What may be repeated is added to what was given there. */
function added(command: Command, parsed: Command): Partial<MountFlags> {
  const before = new Map(
    Object.entries<unknown>(command.opts()).filter(
      ([name]) => command.getOptionValueSource(name) === 'cli',
    ),
  );
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
  const given = Object.entries<unknown>(parsed.opts())
    .filter(([name]) => parsed.getOptionValueSource(name) === 'cli')
    .map(([name, value]) => [
      name,
      Array.isArray(value) ? [...list(before.get(name)), ...list(value)] : value,
    ]);
  return Object.fromEntries(given) as Partial<MountFlags>;
}

/** What the flags ask for, as the library takes it. @throws PinfsError USAGE */
export function mountSpec(source: string, mountpoint: string, flags: MountFlags): MountSpec {
  if ((flags.suid || flags.dev) && process.getuid?.() !== 0) {
    throw new PinfsError('USAGE', '--suid and --dev are for root only');
  }
  if (flags.metrics !== undefined) parseMetricsAddress(flags.metrics, flags.public === true);
  else if (flags.public === true) throw new PinfsError('USAGE', '--public is about --metrics');
  const options = openOptions(source, flags);
  const { protectedXattr: names = [], xattrGid: gids = [], fsname } = flags;
  if (gids.length > 0 && names.length === 0)
    throw new PinfsError('USAGE', '--xattr-gid lets groups read attributes: none is protected', {
      advice: 'Name them with --protected-xattr NAME.',
    });
  const mount: MountOptions = {
    ...valuesOf(mountOptionTable, flags),
    mountpoint,
    driver: driverFor(flags),
    ...(names.length === 0 ? {} : { protectedXattrs: { names, gids } }),
    deadline: options.deadline ?? defaultDeadline,
    verbose: flags.verbose === true,
    ...(flags.noExec === true ? { noExec: true } : {}),
    ...(fsname === undefined ? {} : { fsname }),
  };
  return { options, mount };
}

/**
 * mount(8) may ask for what is there already, or to mount it again with other options.
 * @throws PinfsError MOUNT_BUSY, NOT_MOUNTED, USAGE.
 */
async function isDone(asked: MountSpec, translated: TranslatedOptions): Promise<boolean> {
  const { checkRemount, isMountedSo } = await import('../../lib/mount/again.js');
  const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
  const spec = withAbsolutePaths(asked);
  const directories = runtimeDirectories();
  if (translated.remount) {
    const { mountpoint } = spec.mount;
    const bare = parseAgain(['--', '/', mountpoint]);
    await applySettings(bare);
    const flags = bare.opts<MountFlags>();
    const nothing = withAbsolutePaths(mountSpec('/', mountpoint, flags));
    const pin = await checkRemount(spec, nothing, translated, directories);
    if (pin !== undefined) {
      const { repinMount } = await import('../../lib/mount/repin.js');
      const { printRepinned } = await import('./repin.js');
      const other = { source: undefined, pin };
      printRepinned(mountpoint, await repinMount(mountpoint, other, false, directories), false);
    }
    return true;
  }
  if (await isMountedSo(spec, directories)) {
    process.stdout.write(`${printableText(spec.mount.mountpoint)} is mounted so already\n`);
    return true;
  }
  if (translated.writable) {
    process.stderr.write('pinfs: warning: rw is asked for: what pinfs mounts is read-only\n');
  }
  return false;
}

/** Only one driver writes a trace: it is not left out in silence where that one can't mount. */
function driverFor({ driver, trace }: MountFlags): DriverChoice {
  if (trace === undefined) return driver;
  if (driver !== 'fuse-native') return 'kernel';
  throw new PinfsError('USAGE', 'the fuse-native driver writes no trace', {
    advice: 'Leave --trace out, or take --driver kernel.',
  });
}

async function mountAndPrint(spec: MountSpec, flags: MountFlags): Promise<void> {
  const { options, mount, others = [] } = spec;
  if (flags.foreground === true) {
    const { serveMounts } = await import('../../lib/mount/process/foreground.js');
    const { notifyReady } = await import('../../lib/mount/session/notify.js');
    const code = await serveMounts([spec, ...others], async (sessions) => {
      const statuses = sessions.map((session) => session.status());
      if (flags.json === true) printStatuses(statuses);
      await notifyReady(statuses.map(({ verdict }) => verdict.summary).join('; '));
    });
    process.exit(code);
  }
  const { mountInBackground } = await import('../../lib/mount/process/daemon.js');
  const mounted = startWaiting('mounting', placeOf(options.source));
  const answer = await mountInBackground(options, mount, undefined, others).finally(mounted);
  const { readStatus } = await import('../../lib/mount/session/status-json.js');
  const statuses = [answer].flat().map((one: unknown) => {
    const status = readStatus(one);
    if (status !== undefined) return status;
    throw new PinfsError('INTERNAL', 'the process of the mount gave a status that is none');
  });
  const { tooSmall, tooSmallAdvice } = await import('../../lib/mount/session/status.js');
  for (const status of statuses) {
    warnOffline(status.verdict);
    const problem = tooSmall(status.store, formatSize);
    if (problem !== undefined) warn(problem, tooSmallAdvice);
    if (flags.json !== true) await printMounted(status, flags.verbose === true);
  }
  if (flags.json === true) printStatuses(statuses);
}

/** One as it is, several as a list. */
function printStatuses(statuses: readonly MountStatus[]): void {
  const [only, ...others] = statuses;
  printJson(only !== undefined && others.length === 0 ? only : { mounts: statuses });
}

async function printMounted(status: MountStatus, verbose: boolean): Promise<void> {
  const { verdict } = status;
  const clean = (text: string) => printable(fromText(text));
  const lines = [
    `${clean(status.repository)} is mounted on ${clean(status.mountpoint)} (process ${status.pid}, ${status.driver})`,
  ];
  const trust = `trust: ${verdict.status}: ${clean(verdict.summary)}`;
  if (!verbose) lines.push(paintedStatus(trust, verdict.status));
  else {
    const { verdictLines } = await import('../../lib/trust/verdict/verdict-text.js');
    lines.push(...verdictLines(verdict, { steps: true }));
    if (status.log !== null) lines.push(`log: ${clean(status.log)}`);
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}
