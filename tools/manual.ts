import { writeValue } from '../bin/commands/option-values.js';
import type { OptionRow } from '../lib/options/option.js';
import {
  environmentRows,
  helpRow,
  outputRows,
  ownRows,
  sourceRows,
  type CommandForm,
  type ProgramForm,
} from './command-line.js';

const lineLength = 110;

/** The section OPTIONS of the manual, below its heading. */
export function manualOptions({ commands }: ProgramForm): string {
  return [
    '.SS Every command',
    ...[...outputRows, { ...helpRow, help: 'what there is, with a line for each' }].flatMap(
      optionEntry,
    ),
    '.SS Commands that open a source',
    ...sourceRows.flatMap(optionEntry),
    ...sections(commands),
    '',
  ].join('\n');
}

/** Of the section ENVIRONMENT, the variables that stand for options. */
export function manualEnvironment(program: ProgramForm): string {
  const entries = environmentRows(program).flatMap(([variable, { flag, help, repeatable }]) => [
    '.TP',
    bold(variable),
    ...roffLines(
      `\`${flag}\`: ${help}${repeatable === true ? '; several stand between colons' : ''}.`,
    ),
  ]);
  return [...entries, ''].join('\n');
}

/** The same for the README. */
export function readmeEnvironment(program: ProgramForm): string {
  const entries = environmentRows(program).map(
    ([variable, { flag, help, repeatable }]) =>
      `| \`${variable}\` | \`${flag}\` | ${help}${repeatable === true ? '; several stand between colons' : ''} |`,
  );
  return ['', '| variable | stands for | is |', '| --- | --- | --- |', ...entries, '', ''].join(
    '\n',
  );
}

/** Commands with the same options share a section. */
function sections(commands: readonly CommandForm[]): string[] {
  const together = new Map<string, { names: string[]; lines: string[] }>();
  for (const command of commands) {
    const lines = ownRows(command).flatMap(optionEntry);
    if (lines.length === 0) continue;
    const section = together.get(lines.join('\n')) ?? { names: [], lines };
    section.names.push(command.words.join(' '));
    together.set(lines.join('\n'), section);
  }
  return [...together.values()].flatMap(({ names, lines }) => [
    `.SS ${names.join(', ')}`,
    ...lines,
  ]);
}

/** An option in a list of them. */
export function optionEntry(row: OptionRow): string[] {
  const { flag, short, value, kind, choices, usual, repeatable, environment } = row;
  const flags = [...(short === undefined ? [] : [short]), flag].map(bold).join(', ');
  const shown =
    choices === undefined
      ? value && ` ${italic(value.toUpperCase())}`
      : ` ${bold(choices.join('|'))}`;
  const otherwise = usual ?? row.default;
  const text = [
    row.manual ?? sentence(row.help),
    ...(otherwise === undefined || otherwise === false
      ? []
      : [`Default: \`${otherwise === true ? 'yes' : writeValue(kind, otherwise)}\`.`]),
    ...(row.otherwise === undefined ? [] : [`Default: ${row.otherwise}.`]),
    ...(repeatable === true ? ['Repeatable.'] : []),
    ...(environment === undefined ? [] : [`Environment: \`${environment}\`.`]),
  ];
  return ['.TP', `${flags}${shown ?? ''}`, ...paragraphs(text.join(' '))];
}

function sentence(help: string): string {
  return `${help.slice(0, 1).toUpperCase()}${help.slice(1)}${help.endsWith('.') ? '' : '.'}`;
}

function paragraphs(text: string): string[] {
  return text
    .split('\n\n')
    .flatMap((one, index) => [...(index > 0 ? ['.IP'] : []), ...roffLines(one)]);
}

/** A paragraph as lines of roff: `literal` and <placeholder> are marked. */
export function roffLines(text: string): string[] {
  const marked = escaped(text)
    .replace(/`([^`]*)`/g, (_, literal: string) => bold(literal))
    .replace(/<([^>]*)>/g, (_, placeholder: string) => italic(placeholder))
    .replaceAll('“', '\\(lq')
    .replaceAll('”', '\\(rq');
  const result: string[] = [];
  let line = '';
  for (const word of marked.split(/\s+/)) {
    if (line !== '' && line.length + word.length >= lineLength) {
      result.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  // A dot or quote at the beginning would be a request.
  return [...result, line].map((one) => one.replace(/^[.']/, '\\&$&'));
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\e');
}

function bold(text: string): string {
  return `\\fB${text.replaceAll('-', '\\-')}\\fP`;
}

function italic(text: string): string {
  return `\\fI${text.replaceAll('-', '\\-')}\\fP`;
}
