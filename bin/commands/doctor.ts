import type { Command } from 'commander';
import { fromText, printable } from '../../lib/format/bytes.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { runAction } from './failures.js';
import { painted } from './look.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';

const doctorOptions = {
  cache: { ...sourceOptionTable.cache, help: 'the cache directory to look at', manual: undefined },
} as const satisfies OptionRows;

type DoctorFlags = OutputFlags & OptionValues<typeof doctorOptions>;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('doctor')), doctorOptions)
    .description(
      'what this machine can do, and how to mend what it can not (exit 6: no way to mount)',
    )
    .action(async (flags: DoctorFlags) => {
      await runAction(flags, () => doctor(flags));
    });
}

async function doctor(flags: DoctorFlags): Promise<void> {
  const { probeMachine } = await import('../../lib/mount/doctor/probes.js');
  const { diagnose } = await import('../../lib/mount/doctor/doctor.js');
  const probes = await probeMachine(flags.cache);
  const diagnosis = diagnose(probes);
  if (flags.json === true) printJson(flags.verbose === true ? { ...diagnosis, probes } : diagnosis);
  else {
    const marks = { good: 'ok  ', note: 'note', problem: 'FAIL' } as const;
    const meanings = { good: 'good', note: 'doubtful', problem: 'bad' } as const;
    for (const { what, state, message, mend } of diagnosis.findings) {
      process.stdout.write(
        `${painted(marks[state], meanings[state])}  ${what.padEnd(14)}  ${clean(message)}\n`,
      );
      if (mend !== undefined) process.stdout.write(`${' '.repeat(22)}${clean(mend)}\n`);
    }
  }
  if (!diagnosis.canMount) process.exitCode = 6;
}

function clean(text: string): string {
  return printable(fromText(text));
}
