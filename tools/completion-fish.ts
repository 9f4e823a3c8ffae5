import type { OptionRow } from '../lib/options/option.js';
import {
  helpRow,
  listMounts,
  madeBy,
  offeredValues,
  type ArgumentForm,
  type CommandForm,
  type ProgramForm,
} from './command-line.js';

/** Completion for fish. */
export function fishCompletion({ commands, groups }: ProgramForm): string {
  const alone = commands.filter(({ words }) => words.length === 1);
  const below = commands.filter(({ words }) => words.length === 2);
  return [
    '# Completion of pinfs(1) for fish: put it where $fish_complete_path leads, as pinfs.fish.',
    `# ${madeBy}`,
    '',
    'complete -c pinfs -f',
    "complete -c pinfs -n __fish_use_subcommand -l version -d 'output the version number'",
    ...[...alone.map(({ words: [name = ''], summary }) => ({ name, summary })), ...groups].map(
      ({ name, summary }) =>
        `complete -c pinfs -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
    ),
    ...below.map(({ words: [group = '', name = ''], summary }) => {
      const others = below.filter(({ words }) => words[0] === group);
      const names = others.map(({ words }) => words[1]).join(' ');
      const where = `__fish_seen_subcommand_from ${group}; and not __fish_seen_subcommand_from ${names}`;
      return `complete -c pinfs -n ${quoted(where)} -a ${name} -d ${quoted(summary)}`;
    }),
    `complete -c pinfs -l help -s h -d ${quoted(helpRow.help)}`,
    ...optionLines(commands),
    ...argumentLines(commands),
    '',
  ].join('\n');
}

/** One line for each option, with all commands that have it. */
function optionLines(commands: readonly CommandForm[]): string[] {
  const having = new Map<string, CommandForm[]>();
  for (const command of commands) {
    for (const row of command.options) {
      const line = option(row);
      having.set(line, [...(having.get(line) ?? []), command]);
    }
  }
  return [...having].map(
    ([line, those]) => `complete -c pinfs -n ${quoted(seen(those, commands))} ${line}`,
  );
}

/** The condition that one of these commands is on the line. */
function seen(commands: readonly CommandForm[], every: readonly CommandForm[]): string {
  const all = (words: (string | undefined)[]) =>
    `__fish_seen_subcommand_from ${[...new Set(words)].join(' ')}`;
  // A word that a group has as well, such as check, stands alone where that group does not.
  const groupsWith = (name = ''): (string | undefined)[] =>
    every.filter(({ words }) => words.length > 1 && words[1] === name).map(({ words }) => words[0]);
  const single = commands.filter(({ words }) => words.length === 1);
  const alone = single.filter(({ words }) => groupsWith(words[0]).length === 0);
  const shared = single.filter(({ words }) => groupsWith(words[0]).length > 0);
  const groups = [...new Set(commands.flatMap(({ words }) => (words.length > 1 ? words[0] : [])))];
  return [
    ...(alone.length > 0 ? [all(alone.map(({ words }) => words[0]))] : []),
    ...shared.map(
      ({ words }) => `begin; ${all([words[0]])}; and not ${all(groupsWith(words[0]))}; end`,
    ),
    ...groups.map((group) => {
      const names = commands.filter(({ words }) => words[0] === group).map(({ words }) => words[1]);
      return `begin; ${all([group])}; and ${all(names)}; end`;
    }),
  ].join('; or ');
}

function option(row: OptionRow): string {
  const { flag, short, help } = row;
  const names = flag.startsWith('--')
    ? [`-l ${flag.slice(2)}`, ...(short === undefined ? [] : [`-s ${short.slice(1)}`])]
    : [`-s ${flag.slice(1)}`];
  return [...names, ...valueWords(row), `-d ${quoted(help)}`].join(' ');
}

function valueWords(row: OptionRow): string[] {
  const values = offeredValues(row);
  if (values !== undefined) return [`-x -a ${quoted(values.join(' '))}`];
  if (row.kind === 'flag') return [];
  if (row.kind === 'path') return ['-r -F'];
  const isDirectory = row.kind === 'directory' || row.kind === 'place';
  return [isDirectory ? "-x -a '(__fish_complete_directories)'" : '-x'];
}

function argumentLines(commands: readonly CommandForm[]): string[] {
  const having = (completion: ArgumentForm['completion']) =>
    commands.filter((one) => one.arguments.some((argument) => argument.completion === completion));
  const files = [...new Set([...having('sources'), ...having('files'), ...having('directories')])];
  return [
    `complete -c pinfs -n ${quoted(seen(files, commands))} -F`,
    `complete -c pinfs -n ${quoted(seen(having('mounts'), commands))} -a ${quoted(`(${listMounts})`)}`,
    `complete -c pinfs -n ${quoted(seen(having('sources'), commands))} -a '(pinfs completion fish --line (commandline -cp) 2>/dev/null)'`,
    ...having('words').map((command) => {
      const words = command.arguments.flatMap((argument) => argument.words);
      return `complete -c pinfs -n ${quoted(seen([command], commands))} -a ${quoted(words.join(' '))}`;
    }),
  ];
}

function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
