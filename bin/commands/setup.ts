import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { SetupStep } from '../../lib/mount/setup/setup.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';

const setupOptions = {
  undo: {
    flag: '--undo',
    kind: 'flag',
    help: 'take back what it wrote',
    manual: 'Takes away what it wrote, unless somebody has changed it since.',
  },
  dryRun: {
    flag: '--dry-run',
    kind: 'flag',
    help: 'say what would be written, and write nothing',
  },
  root: {
    flag: '--root',
    value: 'dir',
    kind: 'directory',
    help: 'write below this directory, for making a package',
    manual:
      'Writes below this directory, as for a package that is being made. What is written then calls `pinfs` by its name.',
  },
} as const satisfies OptionRows;

type SetupFlags = OutputFlags & OptionValues<typeof setupOptions>;

const description = `write what mount(8), systemd and autofs need on this machine

A helper for 'mount -t pinfs', the unit pinfs@.service, and a map of autofs by which /cvmfs/<name>
comes up when somebody steps into it. Says what it writes; --undo takes it back.`;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('setup')), setupOptions)
    .description(description)
    .summary('write what mount(8), systemd and autofs need on this machine')
    .action(async (flags: SetupFlags) => {
      await runAction(flags, () => setup(flags));
    });
}

async function setup(flags: SetupFlags): Promise<void> {
  const { undo = false, dryRun = false, json } = flags;
  const root = flags.root === undefined ? undefined : resolve(flags.root).replace(/\/$/, '');
  const { carryOut, planSetup, planUndo } = await import('../../lib/mount/setup/setup.js');
  if (root === undefined && !dryRun && process.getuid?.() !== 0)
    throw new PinfsError('USAGE', 'setup writes into /sbin and /etc, which is for root', {
      advice: 'Run it as root, or look with --dry-run.',
    });
  const planned = (undo ? planUndo : planSetup)({
    share: fileURLToPath(new URL('../../../share', import.meta.url)),
    root: root ?? '',
    program:
      root === undefined
        ? { node: process.execPath, script: fileURLToPath(new URL('../pinfs.js', import.meta.url)) }
        : undefined,
  });
  const steps = planned.map(({ step }) => step);
  if (json !== true) print(steps, root ?? '', dryRun);
  if (!dryRun) carryOut(planned);
  if (json === true) printJson({ files: steps });
  else if (!dryRun && root === undefined) process.stdout.write(nextSteps(steps));
}

const words: Readonly<Record<SetupStep['action'], string>> = {
  write: 'write  ',
  replace: 'replace',
  remove: 'remove ',
  none: 'nothing',
  keep: 'KEEP   ',
  skip: 'SKIP   ',
};

function print(steps: readonly SetupStep[], root: string, isDry: boolean): void {
  const lines = steps.map(({ action, path, purpose, reason }) => {
    const line = `${words[action]}  ${root}${path}  (${reason ?? purpose})`;
    return `${isDry ? 'would ' : ''}${printableText(line)}\n`;
  });
  process.stdout.write(lines.join(''));
}

/** What takes notice of a change only when it is told. */
function nextSteps(steps: readonly SetupStep[]): string {
  const isChanged = (part: string) =>
    steps.some(
      ({ action, path }) => path.includes(part) && !['none', 'keep', 'skip'].includes(action),
    );
  const commands = [
    ...(isChanged('systemd') ? ['systemctl daemon-reload'] : []),
    ...(isChanged('auto') ? ['systemctl reload autofs'] : []),
  ];
  return commands.length === 0 ? '' : `Then: ${commands.join('; ')}\n`;
}
