import { examples } from '../bin/manual/examples.js';
import { exitCodes } from '../bin/manual/exit-codes.js';
import { textBlocks } from '../bin/manual/text.js';
import { topics } from '../bin/manual/topics.js';
import type { OptionRow } from '../lib/options/option.js';
import {
  helpRow,
  madeBy,
  outputRows,
  ownRows,
  sourceRows,
  type CommandForm,
  type ProgramForm,
} from './command-line.js';
import { optionEntry, roffLines } from './manual.js';

/* One page of the manual for each command, and the topics as sections of pinfs(1). */

/** The topics of `pinfs help`, as sections. */
export function manualTopics(): string {
  const title = (name: string) =>
    name === 'exit-codes' ? 'EXIT STATUS' : name.replaceAll('-', ' ').toUpperCase();
  return topics
    .flatMap(({ name, text }) => [`.SH ${title(name)}`, ...roffOf(text)])
    .concat('')
    .join('\n');
}

function roffOf(text: string): string[] {
  return textBlocks(text).flatMap(({ kind, text }, index) => {
    if (kind === 'literal')
      return [...(index === 0 ? [] : ['.PP']), '.nf', ...text.split('\n').map(roffLiteral), '.fi'];
    if (kind === 'point') return ['.IP \\(bu 2', ...roffLines(text)];
    return [...(index === 0 ? [] : ['.PP']), ...roffLines(text)];
  });
}

function roffLiteral(line: string): string {
  return line.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/, '\\&$&');
}

/**
 * The pages of all commands, by their names.
 * @param manual pinfs.1, whose section COMMANDS tells what each one does
 */
export function commandPages(program: ProgramForm, manual: string): Map<string, string> {
  const names = [...new Set(program.commands.map(({ words }) => words[0] ?? ''))];
  return new Map(names.map((name) => [`pinfs-${name}.1`, pageOf(name, program, manual)]));
}

function pageOf(name: string, { commands, groups }: ProgramForm, manual: string): string {
  const those = commands.filter(({ words }) => words[0] === name);
  const group = groups.find((one) => one.name === name);
  const summary = group?.summary ?? those[0]?.summary ?? '';
  const isSource = those.some(({ options }) => sourceRows.every((row) => options.includes(row)));
  const page = [
    `.\\" ${madeBy}`,
    `.TH PINFS\\-${name.toUpperCase().replaceAll('-', '\\-')} 1 "" "pinfs" "User Commands"`,
    '.SH NAME',
    `pinfs\\-${name.replaceAll('-', '\\-')} \\- ${roffLiteral(summary)}`,
    '.SH SYNOPSIS',
    ...those.flatMap((command, index) => [...(index === 0 ? [] : ['.br']), ...synopsis(command)]),
    '.SH DESCRIPTION',
    ...description(name, manual),
    ...(group === undefined
      ? []
      : those.flatMap(({ words, summary }) => [
          '.TP',
          `\\fB${words.slice(1).join(' ')}\\fP`,
          ...roffLines(summary),
        ])),
    ...optionSections(those, isSource),
    ...endOf(those, isSource),
  ];
  return `${page.join('\n')}\n`;
}

function synopsis(command: CommandForm): string[] {
  const words = command.arguments.map(({ name, repeatable }) => {
    const shown = name.toUpperCase() + (repeatable ? '...' : '');
    return `\\fI${roffLiteral(shown)}\\fP`;
  });
  const own = ownRows(command).filter(({ required }) => required === true);
  const demanded = own.map(
    ({ flag, value = '' }) => `${bold(flag)} \\fI${value.toUpperCase()}\\fP`,
  );
  return [
    ['\\fBpinfs', ...command.words].join(' ') +
      `\\fP ${['[options]', ...demanded, ...words].join(' ')}`,
  ];
}

function bold(text: string): string {
  return `\\fB${roffLiteral(text)}\\fP`;
}

/** What pinfs(1) tells of a command: the entries of its section COMMANDS that name it. */
function description(name: string, manual: string): string[] {
  const [, section = ''] = /\n\.SH COMMANDS\n([^]*?)\n\.SH /.exec(manual) ?? [];
  const word = new RegExp(`(^|[\\s",])${name}([\\s",.]|$)`);
  const entries = section
    .split(/^\.TP\n/m)
    .map((entry) => entry.trimEnd().split('\n'))
    .filter(([tag = '']) => word.test(tag.replaceAll('\\-', '-')))
    .map(([, ...lines]) => lines);
  if (entries.length === 0) throw new Error(`share/man/pinfs.1: COMMANDS has no entry for ${name}`);
  return entries.flatMap((lines, index) => [...(index === 0 ? [] : ['.PP']), ...lines]);
}

/** Commands with the same options share a section. */
function optionSections(commands: readonly CommandForm[], isSource: boolean): string[] {
  const single = commands.length === 1;
  const own = commands.flatMap((command) => {
    const rows = isSource
      ? ownRows(command)
      : command.options.filter((row) => !outputRows.includes(row));
    if (rows.length === 0) return [];
    const heading = single ? [] : [`.SS ${command.words.slice(1).join(' ')}`];
    return [...heading, ...rows.flatMap(optionEntry)];
  });
  const sections: [string, readonly OptionRow[]][] = [
    ...(isSource
      ? ([['Of each command that opens a source', sourceRows]] as [string, readonly OptionRow[]][])
      : []),
    ['Of every command', [...outputRows, helpRow]],
  ];
  return [
    '.SH OPTIONS',
    ...own,
    ...sections.flatMap(([heading, rows]) => [`.SS ${heading}`, ...rows.flatMap(optionEntry)]),
  ];
}

function endOf(commands: readonly CommandForm[], isSource: boolean): string[] {
  const rows = commands.flatMap(({ options }) => options);
  const variables = new Map(
    rows.flatMap((row) => (row.environment === undefined ? [] : [[row.environment, row]])),
  );
  const lines = commands.flatMap(({ words }) => examples[words.join('-')] ?? []);
  return [
    '.SH EXIT STATUS',
    '.nf',
    ...exitCodes.map(([code, meaning]) => roffLiteral(`${code}  ${meaning}`)),
    '.fi',
    ...(variables.size === 0 ? [] : ['.SH ENVIRONMENT']),
    ...[...variables].flatMap(([variable, { flag }]) => [
      '.TP',
      `\\fB${variable}\\fP`,
      `Stands for ${bold(flag)}.`,
    ]),
    ...(variables.size === 0
      ? []
      : [
          '.SH FILES',
          '.TP',
          '\\fI$XDG_CONFIG_HOME/pinfs/config.toml\\fP, \\fI/etc/pinfs/config.toml\\fP',
          'Settings (see',
          '.BR pinfs\\-config (1)).',
        ]),
    ...(isSource
      ? [
          '.TP',
          '\\fI$XDG_CACHE_HOME/pinfs\\fP',
          'The cache.',
          '.TP',
          '\\fI$XDG_STATE_HOME/pinfs\\fP',
          'What was seen: revisions, tags, evidence.',
        ]
      : []),
    '.SH EXAMPLES',
    ...lines.flatMap(([line, what]) => ['.TP', bold(line), ...roffLines(what === '' ? ' ' : what)]),
    '.SH SEE ALSO',
    '.BR pinfs (1)',
  ];
}
