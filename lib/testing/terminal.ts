import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/* A program on a terminal of its own, typed at by a script: what came when, and what stood on the screen. */

/** Types once something was said (a regular expression of Python's, over what came since the step before). */
export type Step = readonly [wanted: string, typed: string];

export interface TerminalRun {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly steps?: readonly Step[];
  /** Milliseconds after which it is ended. */
  readonly limitMs?: number;
}

export interface TerminalOutcome {
  readonly pieces: readonly { readonly ms: number; readonly text: string }[];
  /** Null: a signal ended it. */
  readonly code: number | null;
  /** Whether the terminal was left with the modes that it had before. */
  readonly restored: boolean;
  /** How many of the steps were typed. */
  readonly typed: number;
}

/** Needs Python 3 (util-linux's script(1) tells no times and types nothing). */
const typist = `
import fcntl, json, os, pty, re, select, struct, sys, termios, time
run = json.loads(sys.argv[1])
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', run['rows'], run['columns'], 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.close(master); os.setsid(); fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in 0, 1, 2: os.dup2(slave, fd)
    os.execvp(run['command'][0], run['command'])
began, pieces, steps, said, typed, status = time.time(), [], run['steps'], '', 0, None
while True:
    if select.select([master], [], [], 0.05)[0]:
        text = os.read(master, 65536).decode('utf8', 'replace')
        pieces.append({'ms': round((time.time() - began) * 1000), 'text': text})
        said += text
    elif status is not None: break
    while typed < len(steps) and re.search(steps[typed][0], said, re.S):
        os.write(master, steps[typed][1].encode()); said = ''; typed += 1
    if status is None:
        ended, value = os.waitpid(pid, os.WNOHANG)
        if ended: status = value
        elif time.time() - began > run['limit']: os.kill(pid, 9)
code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
print(json.dumps({'pieces': pieces, 'code': code, 'restored': termios.tcgetattr(slave)[:6] == before[:6], 'typed': typed}))
`;

/** Runs a command so; a child has no other environment than `env`, where that is given. */
export async function onTerminal(
  command: readonly string[],
  how: TerminalRun = {},
): Promise<TerminalOutcome> {
  const { columns = 80, rows = 24, steps = [], limitMs = 60_000 } = how;
  const run = { command, columns, rows, steps, limit: limitMs / 1000 };
  const { stdout } = await promisify(execFile)('python3', ['-c', typist, JSON.stringify(run)], {
    env: { ...(how.env ?? process.env), TERM: 'xterm-256color' },
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(stdout) as TerminalOutcome;
}

/** The lines that stand on a screen after each piece, without what is blank at their ends. */
export async function screensOf(
  { pieces }: Pick<TerminalOutcome, 'pieces'>,
  { columns = 80, rows = 24 }: Pick<TerminalRun, 'columns' | 'rows'> = {},
): Promise<string[][]> {
  const terminal = await openTerminal(columns, rows);
  const screens: string[][] = [];
  for (const { text } of pieces) {
    await terminal.write(text);
    screens.push(terminal.lines());
  }
  return screens;
}

interface EmulatedTerminal {
  write(text: string): Promise<void>;
  lines(): string[];
  /** Of the text's cells: the number of the colour (0 to 15); undefined: the usual one. */
  colours(line: number): (number | undefined)[];
}

export async function openTerminal(columns: number, rows: number): Promise<EmulatedTerminal> {
  const xterm = await import('@xterm/headless');
  const terminal = new xterm.default.Terminal({ cols: columns, rows, allowProposedApi: true });
  const line = (at: number) =>
    terminal.buffer.active.getLine(terminal.buffer.active.viewportY + at);
  return {
    write: (text) => new Promise((done) => terminal.write(text, done)),
    lines: () => {
      const lines = Array.from(
        { length: rows },
        (_, at) => line(at)?.translateToString(true) ?? '',
      );
      while (lines.at(-1) === '') lines.pop();
      return lines;
    },
    colours: (at) =>
      Array.from({ length: columns }, (_, column) => {
        const cell = line(at)?.getCell(column);
        return cell?.isFgPalette() === true ? cell.getFgColor() : undefined;
      }),
  };
}
