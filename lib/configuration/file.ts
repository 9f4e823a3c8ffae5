import { dirname } from 'node:path';
import { fromBytes, type ByteString } from '../format/bytes.js';
import { configurationBytesMax } from './shell/bounds.js';
import { readScript } from './shell/commands.js';
import { runScript } from './shell/run.js';
import {
  FileEnded,
  type LinePlace,
  type LineProblem,
  type ShellState,
  type Surroundings,
  type Variable,
} from './shell/state.js';
import { isVariableName } from './shell/syntax.js';

/** A value of a file, or why it is not known. */
export interface FileValue extends LinePlace {
  readonly name: string;
  /** As the reference reads it back. */
  readonly value: ByteString;
  /** It counts as not set. */
  readonly unknown?: LineProblem;
}

export interface EvaluatedFile {
  /** In the order in which the file names them; each name once. */
  readonly values: readonly FileValue[];
  readonly problems: readonly LineProblem[];
}

/** What was set before a file, by name: its value, or why that is not known. */
export type Before = ReadonlyMap<string, Pick<Variable, 'value' | 'unknown' | 'place'>>;

/**
 * The values that a file of configuration sets, as the reference reads them: it has a shell run the file, then asks
 * for each name that stands before a `=` at the beginning of a line. Here nothing is run.
 * @param path shown, and where the files that it sources are looked for
 */
export function evaluateFile(
  path: string,
  bytes: Uint8Array,
  before: Before,
  surroundings: Surroundings,
): EvaluatedFile {
  const problems: LineProblem[] = [];
  const state: ShellState = {
    variables: new Map(before),
    surroundings,
    problems,
    file: path,
    directory: dirname(path),
    depth: 0,
    commands: 0,
    expandedBytes: 0,
    patternSteps: 0,
  };
  const text = fromBytes(bytes);
  const named = namesRead(text);
  const unfit = unfitFile(path, bytes);
  if (unfit !== undefined) return allUnknown(named, unfit, [unfit]);
  if (text.includes('\r\n')) problems.push(carriageReturns(path, text));
  try {
    runScript(state, readScript(text));
  } catch (thrown) {
    if (!(thrown instanceof FileEnded)) throw thrown;
    return allUnknown(named, thrown.problem, problems);
  }
  const values = [...named].map(([name, line]) => readBack(state, name, line));
  problems.push(...notRead(state, named));
  return { values, problems };
}

function allUnknown(
  named: ReadonlyMap<string, number>,
  unknown: LineProblem,
  problems: readonly LineProblem[],
): EvaluatedFile {
  const values = [...named].map(([name, line]): FileValue => ({
    name,
    value: '',
    file: unknown.file,
    line,
    unknown,
  }));
  return { values, problems };
}

function unfitFile(file: string, bytes: Uint8Array): LineProblem | undefined {
  const unfit = (text: string, mend: string): LineProblem => ({
    severity: 'error',
    file,
    line: 1,
    text,
    mend,
  });
  if (bytes.length > configurationBytesMax)
    return unfit(
      `it is larger than ${configurationBytesMax} bytes`,
      'Split it, or make it smaller.',
    );
  if (bytes.includes(0)) return unfit('it is no text: it holds a NUL', 'Write it anew.');
  return undefined;
}

function carriageReturns(file: string, text: ByteString): LineProblem {
  const line = text.slice(0, text.indexOf('\r\n')).split('\n').length;
  const mend = `Take them away: sed -i 's/\\r$//' ${file}`;
  const what =
    'lines end with a carriage return, as of Windows, which becomes a part of the values';
  return { severity: 'error', file, line, text: what, mend };
}

/**
 * The names that the reference asks for, with the line of the last one: the text before the first `=` of a line without
 * its comment, less `readonly`, `export` and `eval`, where no blank is in it.
 */
function namesRead(text: ByteString): Map<string, number> {
  const names = new Map<string, number>();
  for (const [index, whole] of text.split('\n').entries()) {
    const line = (whole.split('#')[0] ?? '').trim();
    if (!line.includes('=')) continue;
    let name = line.slice(0, line.indexOf('='));
    for (const word of ['readonly ', 'export ', 'eval '])
      if (name.startsWith(word)) name = name.slice(word.length).trim();
    if (isVariableName(name)) names.set(name, index + 1);
  }
  return names;
}

const echoOptions = /^-[neE]+$/;

/** What `echo $NAME` prints, in no quotes: blanks are one, and none at the ends. */
function readBack(state: ShellState, name: string, line: number): FileValue {
  const variable = state.variables.get(name);
  const place = variable?.place ?? { file: state.file, line };
  const words = (variable?.value ?? '').split(/[ \t\n]+/).filter((word) => word !== '');
  const read: FileValue = { name, value: words.join(' '), ...place };
  if (variable?.unknown !== undefined) return { ...read, value: '', unknown: variable.unknown };
  const refuse = (text: string, mend: string): FileValue => {
    const unknown: LineProblem = { severity: 'error', ...place, text: `${name}: ${text}`, mend };
    state.problems.push(unknown);
    return { ...read, value: '', unknown };
  };
  if (echoOptions.test(words[0] ?? ''))
    return refuse(
      `the reference takes '${words[0] ?? ''}' at its beginning for an option of echo`,
      'Write another value.',
    );
  if (words.some((word) => /[*?]/.test(word) && !word.includes('/')))
    return refuse(
      'the reference would put names of files in the place of * and ?',
      'Leave * and ? out.',
    );
  return read;
}

/** Names that the file sets where the reference doesn't see it. */
function notRead(state: ShellState, named: ReadonlyMap<string, number>): LineProblem[] {
  return [...state.variables].flatMap(([name, { place, fixed }]): LineProblem[] => {
    if (place?.file !== state.file || named.has(name) || fixed === true) return [];
    if (!name.startsWith('CVMFS_')) return [];
    const text = `${name} is set where the reference does not see it, and counts as not set`;
    const mend = `Begin a line with ${name}= or export ${name}=.`;
    return [{ severity: 'warning', file: place.file, line: place.line, text, mend }];
  });
}
