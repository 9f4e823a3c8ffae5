import { Command, CommanderError, Help, Option } from 'commander';
import { PinfsError } from '../lib/format/errors.js';
import { namesPath } from '../lib/options/rows.js';
import { version } from '../lib/machine/version.js';
import { exitCodes } from './manual/exit-codes.js';
import { setLook } from './commands/look.js';
import { declarationOf } from './commands/options.js';
import { applySettings } from './commands/settings.js';

/** The commands in the order of the help: their names, and the module that registers them. */
const commandModules: readonly (readonly [readonly string[], () => Promise<CommandModule>])[] = [
  [['mount'], () => import('./commands/mount.js')],
  [['umount', 'unmount'], () => import('./commands/umount.js')],
  [['open'], () => import('./commands/open.js')],
  [['repin'], () => import('./commands/repin.js')],
  [['record'], () => import('./commands/record.js')],
  [['trace'], () => import('./commands/trace.js')],
  [['ls'], () => import('./commands/ls.js')],
  [['stat'], () => import('./commands/stat.js')],
  [['cat'], () => import('./commands/cat.js')],
  [['cp'], () => import('./commands/cp.js')],
  [['find'], () => import('./commands/find.js')],
  [['log'], () => import('./commands/log.js')],
  [['diff'], () => import('./commands/diff.js')],
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
  [['publish'], () => import('./commands/publish.js')],
  [['repo'], () => import('./commands/repo.js')],
  [['attest', 'key'], () => import('./commands/attest.js')],
  [['cache', 'forget'], () => import('./commands/cache.js')],
  [['config'], () => import('./commands/config.js')],
  [['setup'], () => import('./commands/setup.js')],
  [['doctor'], () => import('./commands/doctor.js')],
  [['completion'], () => import('./commands/completion.js')],
  [['help', 'version'], () => import('./commands/help.js')],
];

interface CommandModule {
  readonly register: (program: Command) => void;
}

const commandNames: ReadonlySet<string> = new Set(commandModules.flatMap(([names]) => names));

/** The headings of the help, and what stands below them; what is not here stands below `Commands:`. */
const commandGroups: readonly (readonly [heading: string, names: readonly string[]])[] = [
  ['Mount', ['mount', 'umount', 'repin', 'status', 'explain', 'open']],
  ['Read', ['ls', 'stat', 'cat', 'cp', 'find', 'fetch', 'info', 'tags', 'log', 'diff']],
  ['Verify', ['check', 'probe', 'attest', 'key']],
  ['This machine', ['cache', 'forget', 'config', 'setup', 'doctor', 'completion']],
  [
    'Study',
    ['bench', 'bench-diff', 'record', 'trace', 'replay', 'mrc', 'advise', 'profile', 'report'],
  ],
  ['Publish', ['serve', 'publish', 'repo']],
];

const exitText = `
Exit codes: ${exitCodes
  .map(([code, meaning], index) => `${index === 5 ? '\n' : ''}${code} ${meaning}`)
  .join('; ')
  .replaceAll('; \n', ';\n')}.

Begin with: pinfs help mount, pinfs help topic-pins, pinfs doctor`;

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

/** In the help of a command its own options come first, and what every command has last. */
function inOrder<Item>(groups: ReadonlyMap<string, Item[]>): Map<string, Item[]> {
  const order = ['Options:', ...commandGroups.map(([heading]) => `${heading}:`), 'Commands:'];
  const rank = (heading: string): number => {
    const at = order.indexOf(heading);
    return heading === 'General:' ? Infinity : at < 0 ? order.length : at;
  };
  return new Map(
    [...groups].sort(([left], [right]) =>
      rank(left) < rank(right) ? -1 : rank(left) > rank(right) ? 1 : 0,
    ),
  );
}

/**
 * The command line. Given the name of a command, only that one is loaded, which counts where all that is
 * done takes no longer than loading the rest, and none for the version; otherwise all of them, for the help.
 * @param isForHelp with examples
 */
export async function makeProgram(command?: string, isForHelp = false): Promise<Command> {
  const program = new Command('pinfs')
    .description('Mounts verified, pinned, read-only snapshots of CernVM-FS repositories.')
    .version(version)
    .addHelpText('after', exitText)
    .helpCommand(false)
    .configureHelp({
      optionDescription,
      groupItems: (all, shown, groupOf) => inOrder(new Help().groupItems(all, shown, groupOf)),
    })
    .addHelpOption(new Option('-h, --help', 'display help for command').helpGroup('General:'))
    .configureOutput({ outputError: () => undefined })
    .exitOverride()
    .hook('preAction', async (_, command) => {
      refuseEmptyPaths(command);
      await applySettings(command);
      setLook(command.opts());
    });
  const asked = commandModules.filter(
    ([names]) => command !== undefined && names.includes(command),
  );
  const isVersion = command === '--version' || command === '-V';
  const wanted = asked.length > 0 || isVersion ? asked : commandModules;
  for (const module of await Promise.all(wanted.map(([, load]) => load())))
    module.register(program);
  for (const one of program.commands) {
    const group = commandGroups.find(([, names]) => names.includes(one.name()));
    if (group !== undefined) one.helpGroup(`${group[0]}:`);
  }
  if (isForHelp) {
    const { addExamples } = await import('./manual/help-text.js');
    addExamples(program);
  }
  return program;
}

/** `pinfs help COMMAND` is `pinfs COMMAND --help`; a topic is left to the command `help`. */
export function withHelpForm(args: readonly string[]): string[] {
  const [first, ...words] = args;
  const [name = ''] = words;
  if (first !== 'help' || (name !== '' && !commandNames.has(name))) return [...args];
  return [...words, '--help'];
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
  // What may be meant stands on a line of its own.
  const [first = '', ...more] = thrown.message.replace(/^error: /, '').split('\n');
  const message = isHelp ? 'no command is given' : [first, ...more].join(' ');
  const [name = ''] = args;
  const words = ['pinfs', ...(commandNames.has(name) ? [name] : []), '--help'];
  return new PinfsError('USAGE', message, { advice: `See: ${words.join(' ')}` });
}
