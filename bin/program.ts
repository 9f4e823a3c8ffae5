import { Command, CommanderError, Help, type Option } from 'commander';
import { PinfsError } from '../lib/format/errors.js';
import { version } from '../lib/repository/version.js';
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

const exitCodes = `
Exit codes: 0 done; 1 other failure; 2 wrong usage; 3 refused by trust; 4 not reachable;
5 damaged or missing object; 6 can't mount here.`;

/** Lists that are empty at first are no default worth showing. */
function optionDescription(option: Option): string {
  const isList = Array.isArray(option.defaultValue);
  return isList ? option.description : new Help().optionDescription(option);
}

/** The whole command line, with nothing loaded that only one command needs. */
export function makeProgram(): Command {
  const program = new Command('pinfs')
    .description('Mounts verified, pinned, read-only snapshots of CernVM-FS repositories.')
    .version(version)
    .addHelpText('after', exitCodes)
    .configureHelp({ optionDescription })
    .configureOutput({ outputError: () => undefined })
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
  return program;
}

/** mount(8) calls `pinfs SOURCE DIR -o options`: the first word is then no command. */
export function withMountForm(args: readonly string[], commands: ReadonlySet<string>): string[] {
  const first = args[0];
  const isMountForm =
    first !== undefined && !first.startsWith('-') && !commands.has(first) && args.includes('-o');
  return isMountForm ? ['mount', ...args] : [...args];
}

/** What commander found wrong, as an error of ours; undefined: it printed help or version, as asked. */
export function usageError(
  thrown: CommanderError,
  args: readonly string[],
): PinfsError | undefined {
  if (thrown.exitCode === 0) return undefined;
  const isHelp = thrown.code.startsWith('commander.help');
  const message = isHelp ? 'no command is given' : thrown.message.replace(/^error: /, '');
  const command = makeProgram().commands.find((one) => one.name() === args[0]);
  const words = ['pinfs', ...(command === undefined ? [] : [command.name()]), '--help'];
  return new PinfsError('USAGE', message, { advice: `See: ${words.join(' ')}` });
}
