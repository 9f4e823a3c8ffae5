import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { runAction } from './failures.js';
import { outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';
import { formatSize } from './sizes.js';

const description = `record the accesses of a mount that runs

FILE is begun anew where it is a trace already; pinfs mount --record FILE records from the beginning.
What the kernel answers from its own memory does not come to pinfs, and is not in the trace.`;

export function register(program: Command): void {
  const record = program
    .command('record')
    .description(description)
    .summary('record the accesses of a mount that runs');
  outputOptions(record.command('start'))
    .description('begin a trace')
    .argument('<mountpoint>', 'where it is mounted')
    .argument('<file>', 'where the trace goes')
    .action(async (mountpoint: string, file: string, flags: OutputFlags) => {
      await runAction(flags, () => ask(mountpoint, file, flags));
    });
  outputOptions(record.command('stop'))
    .description('end the trace')
    .argument('<mountpoint>', 'where it is mounted')
    .action(async (mountpoint: string, flags: OutputFlags) => {
      await runAction(flags, () => ask(mountpoint, undefined, flags));
    });
}

async function ask(
  mountpoint: string,
  file: string | undefined,
  flags: OutputFlags,
): Promise<void> {
  if (file === '') throw new PinfsError('USAGE', 'file is empty');
  const { recordMount } = await import('../../lib/mount/record.js');
  const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
  const recording = await recordMount(mountpoint, file, runtimeDirectories());
  if (flags.json === true) {
    printJson(recording);
    return;
  }
  const { accesses, bytes, file: path } = recording;
  const text =
    file === undefined
      ? `${accesses} accesses were recorded to ${path} (${formatSize(bytes)})`
      : `recording to ${path}; pinfs record stop ${mountpoint} ends it`;
  process.stdout.write(`${printableText(text)}\n`);
}
