import { resolve } from 'node:path';
import { fromBytes, type ByteString } from '../../format/bytes.js';
import { assignmentOf, readScript } from './commands.js';
import { sourcingMax } from './bounds.js';
import { expandFields, expandPattern, expandValue } from './expand.js';
import { namesSet } from './names-set.js';
import { fitsWhole } from './patterns.js';
import {
  countCommand,
  countPattern,
  EndsFile,
  FileEnded,
  noteProblem,
  readVariable,
  setUnknown,
  setVariable,
  unsetVariable,
  type LineProblem,
  type ShellState,
} from './state.js';
import {
  isVariableName,
  Refused,
  type Assignment,
  type Script,
  type ShellCommand,
  type ShellWord,
} from './syntax.js';
import { evaluateTest } from './tests.js';

/** How a command ended; `unknown` where that could only be guessed. */
type Status = 'true' | 'false' | 'unknown';

/** `return` in a sourced file. */
class Returned extends Error {}

/** Runs a file that was read. What is not understood is noted, and its names are unknown. @throws FileEnded */
export function runScript(state: ShellState, script: Script): void {
  runAll(state, script.commands);
  const { broken } = script;
  if (broken === undefined) return;
  const { reason, instead } = broken.refusal;
  throw new FileEnded(noteProblem(state, new Refused(reason, instead, broken.line)));
}

/** What was thrown, noted. @throws FileEnded; what is no refusal */
function refused(state: ShellState, thrown: unknown, name?: string): LineProblem {
  if (!(thrown instanceof Refused)) throw thrown;
  const problem = noteProblem(state, thrown, name);
  if (thrown instanceof EndsFile) throw new FileEnded(problem);
  return problem;
}

function runAll(state: ShellState, commands: readonly ShellCommand[]): Status {
  let status: Status = 'true';
  for (const command of commands) status = run(state, command);
  return status;
}

function run(state: ShellState, command: ShellCommand): Status {
  switch (command.kind) {
    case 'simple':
      return runSimple(state, command);
    case 'group':
      return runAll(state, command.body);
    case 'not':
      return opposite(run(state, command.command));
    case 'and':
    case 'or': {
      const left = run(state, command.left);
      if (left === 'unknown') return leaveUnknown(state, [command.right], command.line);
      return (left === 'true') === (command.kind === 'and') ? run(state, command.right) : left;
    }
    case 'if':
      return runIf(state, command);
    case 'case':
      return runCase(state, command);
    case 'refused': {
      const { reason, instead } = command.refusal;
      const problem = noteProblem(state, new Refused(reason, instead, command.line));
      return leaveUnknown(state, command.body, command.line, problem);
    }
  }
}

function opposite(status: Status): Status {
  if (status === 'unknown') return status;
  return status === 'true' ? 'false' : 'true';
}

/** Whether these commands run is not known: so are the names that they would set. */
function leaveUnknown(
  state: ShellState,
  commands: readonly ShellCommand[],
  line: number,
  because?: LineProblem,
): 'unknown' {
  const names = commands.flatMap(namesSet);
  const problem = because ?? state.problems.findLast(({ file }) => file === state.file);
  for (const name of names) {
    const unknown: LineProblem = problem ?? {
      severity: 'error',
      file: state.file,
      line,
      text: `whether ${name} is set here is not known`,
      mend: 'Mend the lines before.',
    };
    setUnknown(state, name, unknown);
  }
  return 'unknown';
}

function runIf(state: ShellState, command: ShellCommand & { readonly kind: 'if' }): Status {
  for (const [index, { condition, body }] of command.branches.entries()) {
    const status = runAll(state, condition);
    if (status === 'true') return runAll(state, body);
    if (status === 'unknown') {
      const rest = command.branches.slice(index);
      const left = [...rest.flatMap((branch) => branch.body), ...command.otherwise];
      return leaveUnknown(state, left, command.line);
    }
  }
  return runAll(state, command.otherwise);
}

function runCase(state: ShellState, command: ShellCommand & { readonly kind: 'case' }): Status {
  try {
    const word = expandValue(state, command.word);
    for (const { patterns, body } of command.branches) {
      const fits = (one: ShellWord): boolean => {
        const pattern = expandPattern(state, one);
        countPattern(state, pattern, word, one.line);
        return fitsWhole(pattern, word);
      };
      if (patterns.some(fits)) return runAll(state, body);
    }
    return 'true';
  } catch (thrown) {
    const problem = refused(state, thrown);
    const bodies = command.branches.flatMap(({ body }) => body);
    return leaveUnknown(state, bodies, command.line, problem);
  }
}

function runSimple(state: ShellState, command: ShellCommand & { readonly kind: 'simple' }): Status {
  const { line, assignments, words, redirected } = command;
  try {
    countCommand(state, line);
    if (words.length === 0 && redirected === undefined) {
      const statuses = assignments.map((assignment) => assign(state, assignment));
      return statuses.includes('unknown') ? 'unknown' : 'true';
    }
    if (redirected !== undefined) throw new Refused(redirected.reason, redirected.instead, line);
    if (assignments.length > 0)
      throw new Refused(
        'an assignment before a command is not known',
        'Put it on a line of its own.',
        line,
      );
    return runWords(state, words, line);
  } catch (thrown) {
    const problem = refused(state, thrown);
    return leaveUnknown(state, [command], line, problem);
  }
}

/** A value that is refused makes its name unknown, and nothing else. */
function assign(state: ShellState, { name, append, value, line }: Assignment): Status {
  try {
    const text = expandValue(state, value);
    const before = append ? (readVariable(state, name, line) ?? '') : '';
    setVariable(state, name, before + text, line);
    return 'true';
  } catch (thrown) {
    setUnknown(state, name, refused(state, thrown, name));
    return 'unknown';
  }
}

function runWords(state: ShellState, words: readonly ShellWord[], line: number): Status {
  const [first, ...rest] = words;
  const declared = first === undefined ? [] : expandFields(state, first);
  if (declared.length === 1 && (declared[0] === 'export' || declared[0] === 'readonly'))
    return declare(state, declared[0], rest, line);
  const [name = '', ...given] = [...declared, ...rest.flatMap((word) => expandFields(state, word))];
  switch (name) {
    case '':
    case ':':
    case 'true':
      return 'true';
    case 'false':
      return 'false';
    case '[':
    case 'test':
      return runTest(state, name, given, line);
    case '.':
    case 'source':
      return source(state, given, line);
    case 'eval':
      return evaluate(state, given.join(' '), line);
    case 'unset':
      return unset(state, given, line);
    case 'return':
      if (state.depth > 0) throw new Returned();
      throw new Refused('return stands in no sourced file', 'Leave it out.', line);
    case 'exit':
      throw new FileEnded(
        noteProblem(
          state,
          new Refused('exit ends the file, and with it all its values', 'Leave it out.', line),
        ),
      );
    default:
      if (isVariableName(name) && given[0]?.startsWith('=') === true)
        throw new Refused(
          `a blank stands before the = behind ${name}`,
          `Write ${name}=value, with no blanks around the =.`,
          line,
        );
      throw new Refused(
        `the command ${name.slice(0, 100)} is not run`,
        'Write the value itself, or a test with [ ].',
        line,
      );
  }
}

function runTest(
  state: ShellState,
  name: string,
  given: readonly ByteString[],
  line: number,
): Status {
  const words = name === '[' ? given.slice(0, -1) : given;
  if (name === '[' && given.at(-1) !== ']')
    throw new Refused('[ is never closed', 'End the test with a blank and ].', line);
  const { surroundings, directory } = state;
  const result = evaluateTest(words, { directory, look: surroundings.look }, line);
  if (typeof result === 'boolean') return result ? 'true' : 'false';
  const { complaint } = result;
  const mend = 'Put quotes around its values, as in [ "$A" = "value" ].';
  const { file, problems } = state;
  problems.push({ severity: 'warning', file, line, text: `${complaint}: false`, mend });
  return 'false';
}

/** `export` and `readonly`. */
function declare(
  state: ShellState,
  command: 'export' | 'readonly',
  words: readonly ShellWord[],
  line: number,
): Status {
  let status: Status = 'true';
  for (const word of words) {
    const assignment = assignmentOf(word);
    const names = assignment === undefined ? expandFields(state, word) : [assignment.name];
    if (assignment !== undefined && assign(state, assignment) === 'unknown') status = 'unknown';
    for (const name of names) {
      if (!isVariableName(name))
        throw new Refused(`${command} ${name} is not known`, `Write ${command} NAME=value.`, line);
      const variable = state.variables.get(name);
      if (command === 'readonly' && variable !== undefined)
        state.variables.set(name, { ...variable, readonly: true });
    }
  }
  return status;
}

function unset(state: ShellState, names: readonly ByteString[], line: number): Status {
  for (const name of names.filter((name, index) => index > 0 || name !== '-v')) {
    if (!isVariableName(name))
      throw new Refused(`unset ${name} is not known`, 'Write unset NAME.', line);
    unsetVariable(state, name, line);
  }
  return 'true';
}

/** Runs what stands one level deeper. */
function deeper(state: ShellState, line: number, body: () => void): void {
  if (state.depth >= sourcingMax)
    throw new Refused(
      `files that read each other ${sourcingMax} deep`,
      'Read each only once.',
      line,
    );
  state.depth += 1;
  try {
    body();
  } finally {
    state.depth -= 1;
  }
}

function evaluate(state: ShellState, text: ByteString, line: number): Status {
  const script = readScript(text, line);
  if (script.broken !== undefined) {
    const { reason, instead } = script.broken.refusal;
    throw new Refused(reason, instead, line);
  }
  let status: Status = 'true';
  deeper(state, line, () => {
    status = runAll(state, script.commands);
  });
  return status;
}

function readSourced(state: ShellState, path: string, line: number): Buffer | undefined {
  try {
    return state.surroundings.read(path);
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    // It does not know who asks.
    throw new Refused(thrown.refusal.reason, thrown.refusal.instead, line);
  }
}

/** Reads another file. One that is not there ends this one, as it does with the reference. */
function source(state: ShellState, given: readonly ByteString[], line: number): Status {
  const [name = ''] = given;
  if (!name.includes('/'))
    throw new Refused(
      `where ${name === '' ? 'that file' : name} lies is not said`,
      'Write it with its directory, as in . ./FILE.',
      line,
    );
  const path = resolve(state.directory, name);
  const bytes = readSourced(state, path, line);
  if (bytes === undefined) {
    const mend = 'Put it there, or test for it: [ -f FILE ] && . FILE';
    throw new FileEnded(
      noteProblem(state, new Refused(`${path} is not there: the file ends here`, mend, line)),
    );
  }
  const { file } = state;
  deeper(state, line, () => {
    state.file = path;
    try {
      runScript(state, readScript(fromBytes(bytes)));
    } catch (thrown) {
      if (!(thrown instanceof Returned)) throw thrown;
    } finally {
      state.file = file;
    }
  });
  return 'true';
}
