import type { Command } from 'commander';
import type { UnmountMode } from '../../lib/machine/unmount.js';
import { fromText, printable, printableText } from '../../lib/format/bytes.js';
import { asPinfsError, PinfsError } from '../../lib/format/errors.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { Stopped } from '../../lib/mount/stopping/stop.js';
import type { StopResult } from '../../lib/mount/stopping/stop-all.js';
import { errorJson, noteExit, reportError, runAction } from './failures.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';

const umountOptions = {
  lazy: {
    flag: '--lazy',
    kind: 'flag',
    help: 'detach it though it is in use; it is served until its last user leaves',
    manual:
      'Takes a mount out of sight at once and serves it until its last user leaves; then its process ends. ' +
      '`pinfs status` shows it as detached until then.',
  },
  force: {
    flag: '--force',
    kind: 'flag',
    conflicts: 'lazy',
    help: 'end it though it is in use; its users get errors',
    manual: 'Ends it under its users, who get errors.',
  },
  all: {
    flag: '--all',
    kind: 'flag',
    help: 'all mounts of this user; as root, of everyone',
    manual:
      'All mounts of this user; as root, of everyone. With `--force` also those that are detached already.',
  },
  atLogin: {
    flag: '--at-login',
    kind: 'flag',
    conflicts: 'all',
    help: 'also take back what pinfs mount --at-login wrote',
    manual:
      'Ends the mount, if it is there, and takes away the unit that `pinfs mount --at-login` wrote, unless somebody has changed it since.',
  },
} as const satisfies OptionRows;

type UmountFlags = OutputFlags & OptionValues<typeof umountOptions>;

/** Milliseconds that the process of a mount has for unmounting. */
const timeoutMs = 30_000;

const description = `end mounts, also those whose process is dead; says who keeps one busy

--lazy takes a mount out of sight at once and serves it until its last user leaves;
--force ends it under its users, who get errors.`;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('umount').alias('unmount')), umountOptions)
    .description(description)
    .summary('end mounts, also those whose process is dead')
    .argument('[mountpoint...]')
    .action(async (mountpoints: string[], flags: UmountFlags) => {
      await runAction(flags, () => umount(mountpoints, flags));
    });
}

function modeOf({ force, lazy }: UmountFlags): UnmountMode {
  if (force === true) return 'force';
  return lazy === true ? 'lazy' : 'orderly';
}

async function umount(mountpoints: readonly string[], flags: UmountFlags): Promise<void> {
  if ((mountpoints.length === 0) !== (flags.all === true)) {
    throw new PinfsError('USAGE', 'name the mountpoints, or give --all');
  }
  if (flags.atLogin === true) {
    await notAtLogin(mountpoints, flags);
    return;
  }
  const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
  const parts = { directories: runtimeDirectories(), timeoutMs };
  const mode = modeOf(flags);
  const [only, ...others] = mountpoints;
  if (only !== undefined && others.length === 0) {
    const { stopMount } = await import('../../lib/mount/stopping/stop.js');
    const stopped = await stopMount(only, mode, parts);
    if (flags.json === true) printJson(stopped);
    else printStopped(stopped, flags);
    return;
  }
  const { stopAll, stopMounts } = await import('../../lib/mount/stopping/stop-all.js');
  const results =
    only === undefined
      ? await stopAll(mode, parts, process.getuid?.() ?? 0)
      : await stopMounts(mountpoints, mode, parts);
  if (flags.json === true) printJson({ mounts: results.map(resultJson) });
  for (const result of results) {
    if (!('error' in result)) {
      if (flags.json !== true) printStopped(result, flags);
    } else if (flags.json === true) noteExit(result.error.exit);
    else noteExit(reportError(result.error, flags));
  }
}

async function notAtLogin(mountpoints: readonly string[], flags: UmountFlags): Promise<void> {
  const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
  const { stopMount } = await import('../../lib/mount/stopping/stop.js');
  const { takeAtLoginBack } = await import('./at-login.js');
  await takeAtLoginBack(mountpoints, flags, async (mountpoint) => {
    try {
      await stopMount(mountpoint, modeOf(flags), { directories: runtimeDirectories(), timeoutMs });
    } catch (thrown) {
      if (asPinfsError(thrown).code !== 'NOT_MOUNTED') throw thrown;
    }
  });
}

function resultJson(result: StopResult): object {
  if (!('error' in result)) return result;
  return { mountpoint: result.mountpoint, error: errorJson(result.error) };
}

function printStopped({ mountpoint, by, servesOn }: Stopped, flags: UmountFlags): void {
  const path = printable(fromText(mountpoint));
  if (servesOn !== null) {
    const { pid, holders } = servesOn;
    const process_ = pid === null ? 'its process' : `process ${pid}`;
    const who = holders === null ? "somebody who can't be seen from here" : printableText(holders);
    process.stdout.write(
      `${path} is detached; ${process_} serves on for ${who}, and ends when they let go\n`,
    );
  } else if (flags.verbose === true) {
    const who = by === 'process' ? 'its own process' : 'the system';
    process.stdout.write(`${path} unmounted by ${who}\n`);
  }
}
