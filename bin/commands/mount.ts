import { Command, CommanderError, Option } from 'commander';
import { fromText, printable, printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { defaultDeadline, type MountOptions, type DriverChoice } from '../../lib/mount/options.js';
import type { TranslatedOptions } from '../../lib/mount/fstab.js';
import { absoluteOrder, shownSource, type MountOrder } from '../../lib/mount/order.js';
import type { MountStatus } from '../../lib/mount/status.js';
import {
  openOptions,
  printJson,
  runAction,
  sourceArgument,
  sourceOptions,
  warnOffline,
  type SourceFlags,
} from './common.js';
import { startWaiting } from './progress.js';

export interface MountFlags extends SourceFlags {
  readonly driver: DriverChoice;
  readonly allowOther?: boolean;
  readonly log?: string;
  readonly trace?: string;
  readonly foreground?: boolean;
  readonly suid?: boolean;
  readonly dev?: boolean;
  /** Commander's form of --no-xattrs. */
  readonly xattrs: boolean;
  readonly passthrough?: boolean;
  readonly inodes: '32' | '63';
  readonly protectedXattr: string[];
  readonly xattrGid: number[];
  /** Texts of `-o`, as mount(8) gives them. */
  readonly o: string[];
  /** Only in the options of -o. */
  readonly fsname?: string;
  readonly noExec?: boolean;
}

const description = `mount a snapshot, read-only

Goes to the background once the mount can be used. The form that mount(8) calls works as well:
  pinfs SOURCE DIR -o pin=TAG,key=FILE,cache=DIR,allow_other`;

export function register(program: Command): void {
  mountCommand(program.command('mount')).action(
    async (source: string, mountpoint: string, flags: MountFlags) => {
      await runAction(flags, async () => {
        const asked = await withMountOptions(source, mountpoint, flags);
        const order = mountOrder(asked.source, mountpoint, asked.flags);
        if (asked.translated !== undefined && (await isDone(order, asked.translated))) return;
        await mountAndPrint(order, asked.flags);
      });
    },
  );
}

/** Adds the arguments and options of `pinfs mount`. */
export function mountCommand(command: Command): Command {
  return sourceOptions(command)
    .description(description)
    .summary('mount a snapshot, read-only')
    .argument('<source[@pin]>', sourceArgument)
    .argument('<mountpoint>', 'an existing directory')
    .option('--foreground', 'stay, and write the log to stderr')
    .addOption(
      new Option('--driver <name>', 'how to speak to the kernel')
        .choices(['auto', 'fuse-native', 'kernel'])
        .default('auto'),
    )
    .option('--allow-other', 'let other users in, as far as the modes of the files do')
    .option('--suid', 'honour set-uid bits (root only)')
    .option('--dev', 'honour device files (root only)')
    .option('--no-xattrs', 'no extended attributes, so that ls -l asks for none')
    .addOption(
      new Option('--protected-xattr <name>', 'an attribute for some groups only (repeatable)')
        .argParser((value: string, before: string[]) => [...before, value])
        .default([], 'none'),
    )
    .addOption(
      new Option('--xattr-gid <gid>', 'a group that may read them, besides 0 (repeatable)')
        .argParser((value: string, before: number[]) => [...before, parseGid(value)])
        .default([], 'none'),
    )
    .option('--passthrough', 'the kernel reads large cached files itself (kernel driver, root)')
    .addOption(
      new Option('--inodes <bits>', 'bits of inode numbers: 32 for old 32-bit programs')
        .choices(['32', '63'])
        .default('63'),
    )
    .option('--log <file>', 'append the log to this file')
    .option('--trace <file>', 'one line for each request of the kernel (kernel driver)')
    .addOption(
      new Option('-o <options>', 'options in the form of mount(8) and fstab(5)')
        .argParser((value: string, before: string[]) => [...before, value])
        .default([], 'none'),
    );
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
  flags: MountFlags,
): Promise<AskedMount> {
  if (flags.o.length === 0) return { source, flags };
  const { translateMountOptions } = await import('../../lib/mount/fstab.js');
  const translated = translateMountOptions(flags.o);
  const { flags: given, pin, noExec } = translated;
  // As it stands in fstab, so that mount(8) sees that it is mounted.
  const fsname = translated.fsname ?? (pin === undefined ? undefined : shownSource(source));
  const whole = pin === undefined ? source : `${source}@${pin}`;
  const parsed = parseAgain([...given, '--', whole, mountpoint]);
  const more = parsed.opts<MountFlags>();
  const merged: MountFlags = {
    ...flags,
    ...fromCommandLine(parsed, more),
    key: [...flags.key, ...more.key],
    env: [...flags.env, ...more.env],
    signer: [...flags.signer, ...more.signer],
    protectedXattr: [...flags.protectedXattr, ...more.protectedXattr],
    xattrGid: [...flags.xattrGid, ...more.xattrGid],
    noExec,
    ...(fsname === undefined ? {} : { fsname }),
  };
  return { source: whole, flags: merged, translated };
}

/** @throws PinfsError USAGE */
function parseGid(text: string): number {
  const gid = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (gid < 2 ** 32 - 1) return gid;
  throw new PinfsError('USAGE', `'${text}' is no group`, { advice: 'Give the number of a group.' });
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

/** Only what was given: a default must not undo a flag. */
function fromCommandLine(command: Command, flags: MountFlags): Partial<MountFlags> {
  const given = Object.entries(flags).filter(
    ([name]) => command.getOptionValueSource(name) === 'cli',
  );
  return Object.fromEntries(given);
}

/** What the flags ask for, as the library takes it. @throws PinfsError USAGE */
export function mountOrder(source: string, mountpoint: string, flags: MountFlags): MountOrder {
  if ((flags.suid === true || flags.dev === true) && process.getuid?.() !== 0) {
    throw new PinfsError('USAGE', '--suid and --dev are for root only');
  }
  const options = openOptions(source, flags);
  if (flags.xattrGid.length > 0 && flags.protectedXattr.length === 0)
    throw new PinfsError('USAGE', '--xattr-gid lets groups read attributes: none is protected', {
      advice: 'Name them with --protected-xattr NAME.',
    });
  const mount: MountOptions = {
    mountpoint,
    driver: driverFor(flags),
    allowOther: flags.allowOther === true,
    suid: flags.suid === true,
    dev: flags.dev === true,
    noXattrs: !flags.xattrs,
    ...(flags.protectedXattr.length === 0
      ? {}
      : { protectedXattrs: { names: flags.protectedXattr, gids: flags.xattrGid } }),
    ...(flags.passthrough === true ? { passthrough: true } : {}),
    deadline: options.deadline ?? defaultDeadline,
    verbose: flags.verbose === true,
    ...(flags.noExec === true ? { noExec: true } : {}),
    ...(flags.fsname === undefined ? {} : { fsname: flags.fsname }),
    ...(flags.log === undefined ? {} : { log: flags.log }),
    ...(flags.trace === undefined ? {} : { trace: flags.trace }),
  };
  const inodes = flags.inodes === '32' ? ({ inodes: 32 } as const) : {};
  return { options: { ...options, ...inodes }, mount };
}

/**
 * mount(8) may ask for what is there already, or to mount it again with other options.
 * @throws PinfsError MOUNT_BUSY, NOT_MOUNTED, USAGE.
 */
async function isDone(asked: MountOrder, translated: TranslatedOptions): Promise<boolean> {
  const { checkRemount, isMountedSo } = await import('../../lib/mount/again.js');
  const { runtimeDirectories } = await import('../../lib/mount/runtime.js');
  const order = absoluteOrder(asked);
  const directories = runtimeDirectories();
  if (translated.remount) {
    const { mountpoint } = order.mount;
    const flags = parseAgain(['--', '/', mountpoint]).opts<MountFlags>();
    const nothing = absoluteOrder(mountOrder('/', mountpoint, flags));
    await checkRemount(order, nothing, translated, directories);
    return true;
  }
  if (await isMountedSo(order, directories)) {
    process.stdout.write(`${printableText(order.mount.mountpoint)} is mounted so already\n`);
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

async function mountAndPrint({ options, mount }: MountOrder, flags: MountFlags): Promise<void> {
  if (flags.foreground === true) {
    const { serveMount } = await import('../../lib/mount/foreground.js');
    const { notifyReady } = await import('../../lib/mount/notify.js');
    const code = await serveMount(options, mount, async (session) => {
      if (flags.json === true) printJson(session.status());
      await notifyReady(session.status().verdict.summary);
    });
    process.exit(code);
  }
  const { mountInBackground } = await import('../../lib/mount/daemon.js');
  const mounted = startWaiting('mounting');
  const status = (await mountInBackground(options, mount).finally(mounted)) as MountStatus;
  warnOffline(status.verdict);
  if (flags.json === true) printJson(status);
  else await printMounted(status, flags.verbose === true);
}

async function printMounted(status: MountStatus, verbose: boolean): Promise<void> {
  const { verdict } = status;
  const clean = (text: string) => printable(fromText(text));
  const lines = [
    `${clean(status.repository)} is mounted on ${clean(status.mountpoint)} (process ${status.pid}, ${status.driver})`,
    `trust: ${verdict.status}: ${clean(verdict.summary)}`,
  ];
  if (verbose) {
    const { verdictLines } = await import('../../lib/trust/verdict-text.js');
    lines.push(...verdictLines(verdict));
    if (status.log !== null) lines.push(`log: ${clean(status.log)}`);
  }
  process.stdout.write(`${lines.join('\n')}\n`);
}
