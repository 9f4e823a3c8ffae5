import type { ByteString } from '../../format/bytes.js';
import {
  commandsMax,
  expandedBytesMax,
  patternStepsMax,
  problemsMax,
  valueBytesMax,
} from './bounds.js';
import { Refused } from './syntax.js';

/** Where a value was written. */
export interface LinePlace {
  readonly file: string;
  readonly line: number;
}

/** What is wrong with a line: `error` where a value counts as not set for it. */
export interface LineProblem extends LinePlace {
  readonly severity: 'error' | 'warning';
  readonly text: string;
  readonly mend: string;
  /** Only because of another line, which has its own. */
  readonly follows?: true;
}

export interface Variable {
  readonly value: ByteString;
  /** Undefined: it was there before the file. */
  readonly place?: LinePlace;
  readonly readonly?: true;
  /** No file changes it, and none that tries is wrong: the command line has it so. */
  readonly fixed?: true;
  /** Why the value is not known; then it counts as not set, and so does what is made from it. */
  readonly unknown?: LineProblem;
}

export interface FileFacts {
  readonly kind: 'file' | 'directory' | 'other';
  readonly bytes: number;
  readonly readable: boolean;
}

/** What a file is evaluated in: everything that is not written in it. */
export interface Surroundings {
  /** As `$RANDOM`. */
  readonly random: () => number;
  /** As `$$`. */
  readonly processId: number;
  readonly hostName: string;
  readonly userId: number;
  /** The bytes of a file that another one sources; undefined: it is not there. @throws Refused where it may not be read */
  readonly read: (path: string) => Buffer | undefined;
  /** What lies there; undefined: nothing. */
  readonly look: (path: string) => FileFacts | undefined;
}

/** One file that is being evaluated, with what it sources. */
export interface ShellState {
  readonly variables: Map<string, Variable>;
  readonly surroundings: Surroundings;
  readonly problems: LineProblem[];
  /** The file whose lines are run now. */
  file: string;
  /** Directory of the first file: where the shell of the reference stands. */
  readonly directory: string;
  /** How deep it is in sourced files and `eval`. */
  depth: number;
  commands: number;
  expandedBytes: number;
  patternSteps: number;
}

/** What ends a shell, and with it all values of the file. */
export class EndsFile extends Refused {}

/** Nothing of the file is run any more: its values are not known, as with the shell of the reference. */
export class FileEnded extends Error {
  readonly problem: LineProblem;

  constructor(problem: LineProblem) {
    super(problem.text);
    this.problem = problem;
  }
}

/** Counts a command. @throws Refused */
export function countCommand(state: ShellState, line: number): void {
  state.commands += 1;
  if (state.commands <= commandsMax) return;
  throw new EndsFile(`more than ${commandsMax} commands`, 'Make the files smaller.', line);
}

/** Counts what an expansion gave. @throws Refused */
export function countExpanded(state: ShellState, text: ByteString, line: number): ByteString {
  state.expandedBytes += text.length;
  if (text.length > valueBytesMax)
    throw new Refused(`a value of more than ${valueBytesMax} bytes`, 'Make it shorter.', line);
  if (state.expandedBytes > expandedBytesMax)
    throw new EndsFile(
      `values of more than ${expandedBytesMax} bytes in all`,
      'Make the files smaller.',
      line,
    );
  return text;
}

/** Counts the work of a pattern. @throws Refused */
export function countPattern(
  state: ShellState,
  pattern: readonly unknown[],
  text: ByteString,
  line: number,
): void {
  state.patternSteps += (pattern.length + 1) * (text.length + 1);
  if (state.patternSteps > patternStepsMax)
    throw new EndsFile('patterns are tried too often', 'Make the files smaller.', line);
}

/** What a shell sets for itself, and what would be guessed here. */
const ofTheShell =
  /^(BASH\w*|SHLVL|SECONDS|LINENO|PPID|OSTYPE|MACHTYPE|HOSTTYPE|IFS|OPTIND|OPTARG|SHELLOPTS|FUNCNAME|GROUPS|DIRSTACK|OLDPWD|PS[0-4]|EPOCH\w*|SRANDOM|_)$/;

/** The value of a variable; undefined where it is not set. @throws Refused where it is not known */
export function readVariable(
  state: ShellState,
  name: string,
  line: number,
): ByteString | undefined {
  const variable = state.variables.get(name);
  if (variable?.unknown !== undefined) {
    const { file, line: there } = variable.unknown;
    throw new Follows(`it depends on ${name}, which is not known (${file}:${there})`, line);
  }
  const { surroundings } = state;
  switch (name) {
    case '$':
      return String(surroundings.processId);
    case 'RANDOM':
      return String(surroundings.random());
    case 'UID':
    case 'EUID':
      return String(surroundings.userId);
    case 'HOSTNAME':
      return variable?.value ?? surroundings.hostName;
    case 'PWD':
      return variable?.value ?? state.directory;
    default:
  }
  if (variable?.place === undefined && ofTheShell.test(name))
    throw new Refused(
      `$${name} is a variable of the shell itself`,
      'Write the value that it is to have.',
      line,
    );
  return variable?.value;
}

/** Refused only because of another line. */
export class Follows extends Refused {
  constructor(reason: string, line: number) {
    super(reason, 'Mend that line, or give the value with --set.', line);
  }
}

/** @throws Refused */
export function setVariable(
  state: ShellState,
  name: string,
  value: ByteString,
  line: number,
): void {
  if (state.variables.get(name)?.fixed === true) return;
  if (name === 'IFS' || name === 'PATH' || name === 'PWD')
    throw new Refused(`${name} would change what the shell itself does`, 'Leave it out.', line);
  if (state.variables.get(name)?.readonly === true)
    throw new EndsFile(`${name} is read-only`, 'Assign it only once.', line);
  state.variables.set(name, { value, place: { file: state.file, line } });
}

/** @throws Refused */
export function unsetVariable({ variables }: ShellState, name: string, line: number): void {
  const variable = variables.get(name);
  if (variable?.readonly === true)
    throw new EndsFile(`${name} is read-only`, 'Assign it only once.', line);
  if (variable?.fixed !== true) variables.delete(name);
}

/** A value that is not known: what is refused says why. */
export function setUnknown(state: ShellState, name: string, unknown: LineProblem): void {
  if (state.variables.get(name)?.fixed === true) return;
  const { file, line } = unknown;
  state.variables.set(name, { value: '', place: { file, line }, unknown });
}

/** Notes what is wrong; the same is noted once. */
export function noteProblem(state: ShellState, thrown: Refused, name?: string): LineProblem {
  const { reason, instead } = thrown.refusal;
  const problem: LineProblem = {
    severity: 'error',
    file: state.file,
    line: thrown.line,
    text: name === undefined ? reason : `${name}: ${reason}`,
    mend: instead,
    ...(thrown instanceof Follows ? { follows: true } : {}),
  };
  const isKnown = state.problems.some(
    ({ file, line, text }) =>
      file === problem.file && line === problem.line && text === problem.text,
  );
  if (isKnown) return problem;
  state.problems.push(problem);
  if (state.problems.length > problemsMax) throw new FileEnded(problem);
  return problem;
}
