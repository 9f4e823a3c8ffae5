#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { register as registerMount } from './commands/mount.js';
import { register as registerUmount } from './commands/umount.js';
import { register as registerStatus } from './commands/status.js';
import { register as registerDoctor } from './commands/doctor.js';
import { register as registerLs } from './commands/ls.js';
import { register as registerStat } from './commands/stat.js';
import { register as registerCat } from './commands/cat.js';
import { register as registerCp } from './commands/cp.js';
import { register as registerFind } from './commands/find.js';
import { register as registerInfo } from './commands/info.js';
import { register as registerCheck } from './commands/check.js';
import { register as registerServe } from './commands/serve.js';
import { register as registerBench } from './commands/bench.js';
import { register as registerAttest } from './commands/attest.js';
import { register as registerCache } from './commands/cache.js';
import { reportError } from './commands/common.js';

const exitCodes = `
Exit codes: 0 done; 1 other failure; 2 wrong usage; 3 refused by trust; 4 not reachable;
5 damaged or missing object; 6 can't mount here.`;

export function makeProgram(): Command {
  const program = new Command('pinfs')
    .description('Mounts verified, pinned, read-only snapshots of CernVM-FS repositories.')
    .version('0.1.0')
    .addHelpText('after', exitCodes)
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  const registrations = [
    registerMount,
    registerUmount,
    registerLs,
    registerStat,
    registerCat,
    registerCp,
    registerFind,
    registerInfo,
    registerStatus,
    registerCheck,
    registerServe,
    registerBench,
    registerAttest,
    registerCache,
    registerDoctor,
  ];
  for (const register of registrations) register(program);
  for (const command of program.commands) command.exitOverride();
  return program;
}

/** mount(8) calls `pinfs SOURCE DIR -o options`: the first word is then no command. */
export function withMountForm(args: readonly string[], commands: ReadonlySet<string>): string[] {
  const first = args[0];
  const isMountForm =
    first !== undefined && !first.startsWith('-') && !commands.has(first) && args.includes('-o');
  return isMountForm ? ['mount', ...args] : [...args];
}

async function main(): Promise<void> {
  // A reader that leaves early, such as head(1), is nothing to report.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(1);
  });
  const program = makeProgram();
  const commands = new Set(['help', ...program.commands.map((command) => command.name())]);
  try {
    await program.parseAsync(withMountForm(process.argv.slice(2), commands), { from: 'user' });
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      // Commander has printed its message; help and version end with 0, wrong usage with 2.
      process.exitCode = thrown.exitCode === 0 ? 0 : 2;
    } else {
      process.exitCode = reportError(thrown, { json: process.argv.includes('--json') });
    }
  }
}

await main();
