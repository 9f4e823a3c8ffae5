import { Command, CommanderError, Help, type Option } from 'commander';
import { PinfsError } from '../lib/format/errors.js';
import { namesPath } from '../lib/options/rows.js';
import { version } from '../lib/machine/version.js';
import { declarationOf } from './commands/options.js';
import { applySettings } from './commands/settings.js';

/** The commands in the order of the help: their names, and the module that registers them. */
const commandModules: readonly (readonly [readonly string[], () => Promise<CommandModule>])[] = [
  [['mount'], () => import('./commands/mount.js')],
  [['umount'], () => import('./commands/umount.js')],
  [['repin'], () => import('./commands/repin.js')],
  [['record'], () => import('./commands/record.js')],
  [['trace'], () => import('./commands/trace.js')],
  [['ls'], () => import('./commands/ls.js')],
  [['stat'], () => import('./commands/stat.js')],
  [['cat'], () => import('./commands/cat.js')],
  [['cp'], () => import('./commands/cp.js')],
  [['find'], () => import('./commands/find.js')],
  [['fetch'], () => import('./commands/fetch.js')],
  [['info', 'tags'], () => import('./commands/info.js')],
  [['status'], () => import('./commands/status.js')],
  [['check'], () => import('./commands/check.js')],
  [['explain'], () => import('./commands/explain.js')],
  [['probe'], () => import('./commands/probe.js')],
  [['serve'], () => import('./commands/serve.js')],
  [['bench'], () => import('./commands/bench.js')],
  [['bench-diff'], () => import('./commands/bench-diff.js')],
  [['replay'], () => import('./commands/replay.js')],
  [['mrc'], () => import('./commands/mrc.js')],
  [['advise'], () => import('./commands/advise.js')],
  [['profile'], () => import('./commands/profile.js')],
  [['report'], () => import('./commands/report.js')],
  [['attest', 'key'], () => import('./commands/attest.js')],
  [['cache', 'forget'], () => import('./commands/cache.js')],
  [['config'], () => import('./commands/config.js')],
  [['setup'], () => import('./commands/setup.js')],
  [['doctor'], () => import('./commands/doctor.js')],
];

interface CommandModule {
  readonly register: (program: Command) => void;
}

const commandNames: ReadonlySet<string> = new Set([
  'help',
  ...commandModules.flatMap(([names]) => names),
]);

const exitCodes = `
Exit codes: 0 done; 1 other failure; 2 wrong usage; 3 refused by trust; 4 not reachable;
5 damaged or missing object; 6 can't mount here; 7 offline, and --strict was given.`;

// What stands for a path in the help of an argument.
const pathArguments = new Set([
  'source',
  'source@pin',
  'source[@pin]',
  'mountpoint',
  'dir',
  'dest',
]);

/** An empty path, as of a variable that is not set, would often mean the working directory. @throws PinfsError USAGE */
function refuseEmptyPaths(command: Command): void {
  const isEmpty = (value: unknown): boolean =>
    value === '' || (Array.isArray(value) && value.includes(''));
  const named = [
    ...command.options
      .filter((option) => {
        const row = declarationOf(option);
        return row !== undefined && namesPath(row);
      })
      .map((option) => ({
        name: option.long ?? option.flags,
        value: command.getOptionValue(option.attributeName()) as unknown,
      })),
    ...command.registeredArguments
      .map((argument, index) => ({
        name: argument.name(),
        value: argument.variadic ? command.args.slice(index) : command.args[index],
      }))
      .filter(({ name }) => pathArguments.has(name)),
  ];
  const empty = named.find(({ value }) => isEmpty(value));
  if (empty !== undefined) throw new PinfsError('USAGE', `${empty.name} is empty`);
}

/** Lists that are empty at first are no default worth showing. */
function optionDescription(option: Option): string {
  const isList = Array.isArray(option.defaultValue);
  return isList ? option.description : new Help().optionDescription(option);
}

/**
 * The command line. Given the name of a command, only that one is loaded, which counts where all that is
 * done takes no longer than loading the rest, and none for the version; otherwise all of them, for the help.
 */
export async function makeProgram(command?: string): Promise<Command> {
  const program = new Command('pinfs')
    .description('Mounts verified, pinned, read-only snapshots of CernVM-FS repositories.')
    .version(version)
    .addHelpText('after', exitCodes)
    .configureHelp({ optionDescription })
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .hook('preAction', async (_, command) => {
      refuseEmptyPaths(command);
      await applySettings(command);
    });
  const asked = commandModules.filter(
    ([names]) => command !== undefined && names.includes(command),
  );
  const isVersion = command === '--version' || command === '-V';
  const wanted = asked.length > 0 || isVersion ? asked : commandModules;
  for (const module of await Promise.all(wanted.map(([, load]) => load())))
    module.register(program);
  return program;
}

/** mount(8) calls `pinfs SOURCE DIR -o options`: the first word is then no command. */
export function withMountForm(args: readonly string[]): string[] {
  const first = args[0];
  const isMountForm =
    first !== undefined &&
    !first.startsWith('-') &&
    !commandNames.has(first) &&
    args.includes('-o');
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
  const [name = ''] = args;
  const words = ['pinfs', ...(commandNames.has(name) ? [name] : []), '--help'];
  return new PinfsError('USAGE', message, { advice: `See: ${words.join(' ')}` });
}
