import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { namesPath } from '../../lib/options/rows.js';
import type { SetupStep } from '../../lib/mount/setup/setup.js';
import { isUrl } from '../../lib/source/source-pin.js';
import { declarationOf, type OutputFlags } from './options.js';
import { writeValue } from './option-values.js';
import { printJson } from './output.js';

/* `mount --at-login` and `umount --at-login`: the unit of a mount, for the systemd of this user. */

const share = fileURLToPath(new URL('../../../share', import.meta.url));
const program = {
  node: process.execPath,
  script: fileURLToPath(new URL('../pinfs.js', import.meta.url)),
};

/** What of an option speaks of this one call. */
const ofThisCall = new Set(['atLogin', 'json', 'verbose', 'quiet', 'progress', 'color']);

/**
 * The options that the command line and the environment gave, as they would stand on a command line in any
 * directory. What the settings say they will say at login as well.
 */
function wordsOf(command: Command): string[] {
  return command.options.flatMap((option) => {
    const row = declarationOf(option);
    const name = option.attributeName();
    const source = command.getOptionValueSource(name);
    if (row === undefined || ofThisCall.has(name)) return [];
    if (source !== 'cli' && source !== 'env') return [];
    if (row.flag === '-o')
      throw new PinfsError('USAGE', '-o is the form of mount(8): --at-login takes options alone');
    const values = [command.getOptionValue(name) as unknown].flat();
    return values.flatMap((value) => {
      if (value === true) return [row.flag];
      if (typeof value !== 'string' && typeof value !== 'number') return [];
      const text = writeValue(row.kind, value);
      const isRelative = namesPath(row) && !isUrl(text) && !isAbsolute(text);
      return [row.flag, isRelative ? resolve(text) : text];
    });
  });
}

/** Writes the unit, and begins it where the systemd of this user runs. */
export async function mountAtLogin(
  source: string,
  mountpoint: string,
  command: Command,
  flags: OutputFlags,
): Promise<void> {
  const { carryOut } = await import('../../lib/mount/setup/setup.js');
  const { planAtLogin, unitName } = await import('../../lib/mount/setup/at-login.js');
  const words = [...wordsOf(command), '--', source, mountpoint];
  const planned = planAtLogin({ share, program, variables: process.env, mountpoint }, words);
  carryOut(planned, `pinfs umount --at-login ${mountpoint}`);
  const unit = unitName(mountpoint);
  const isBegun = await tellSystemd(['start', unit]);
  const steps = planned.map(({ step }) => step);
  if (flags.json === true) printJson({ files: steps, unit, isBegun });
  else {
    printSteps(steps);
    process.stdout.write(
      isBegun
        ? `${printableText(mountpoint)} is mounted, and will be at each login\n`
        : `no systemd of this user runs here: it will be mounted by the next login where one does\n`,
    );
  }
}

/** Ends those mounts, and takes away what was written for them. */
export async function takeAtLoginBack(
  mountpoints: readonly string[],
  flags: OutputFlags,
  stop: (mountpoint: string) => Promise<void>,
): Promise<void> {
  const { carryOut } = await import('../../lib/mount/setup/setup.js');
  const { planNotAtLogin, unitName } = await import('../../lib/mount/setup/at-login.js');
  const steps: SetupStep[] = [];
  for (const path of mountpoints) {
    const mountpoint = resolve(path);
    const planned = planNotAtLogin({ variables: process.env, mountpoint });
    const undo = `pinfs umount --at-login ${mountpoint}`;
    const isThere = planned.some(({ step }) => step.action !== 'none');
    // First in order, so that one in use stays; a unit whose mount has ended well is not begun again.
    await stop(mountpoint);
    if (isThere) await tellSystemd(['stop', unitName(mountpoint)]);
    carryOut(planned, undo);
    if (isThere) await tellSystemd([]);
    steps.push(...planned.map(({ step }) => step));
  }
  if (flags.json === true) printJson({ files: steps });
  else printSteps(steps);
}

function printSteps(steps: readonly SetupStep[]): void {
  const lines = steps.map(({ action, path, purpose }) => {
    const word = action === 'none' ? 'nothing' : action;
    return `${word.padEnd(7)}  ${printableText(path)}  (${printableText(purpose)})\n`;
  });
  process.stdout.write(lines.join(''));
}

// A mount that waits for its network has as long as its unit (ms).
const systemctlTimeoutMs = 310_000;

/**
 * Has the systemd of this user read its units anew, and do something.
 * @returns false: none runs, or none that this process can ask
 * @throws PinfsError MOUNT_FAILED
 */
async function tellSystemd(then: readonly string[]): Promise<boolean> {
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? `/run/user/${process.getuid?.() ?? 0}`;
  if (!existsSync(join(runtime, 'systemd', 'private'))) return false;
  const env = { ...process.env, XDG_RUNTIME_DIR: runtime };
  for (const words of [['daemon-reload'], ...(then.length === 0 ? [] : [then])]) {
    const args = ['--user', ...words];
    const problem = await new Promise<string | undefined>((settle) => {
      execFile('systemctl', args, { env, timeout: systemctlTimeoutMs }, (error, _, stderr) => {
        settle(error === null ? undefined : stderr.trim() || error.message);
      });
    });
    if (problem === undefined) continue;
    const [, unit = ''] = then;
    throw new PinfsError('MOUNT_FAILED', `systemctl ${args.join(' ')}: ${problem}`, {
      advice: `Its log says why: journalctl --user -u '${unit}'`,
    });
  }
  return true;
}
