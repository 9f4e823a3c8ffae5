/* Something that is shown anew again and again in one place of a terminal, until `q` or Ctrl-C. */

const [enter, leave] = ['\x1b[?1049h\x1b[?25l', '\x1b[?25h\x1b[?1049l'];
const [home, toLineEnd, toScreenEnd] = ['\x1b[H', '\x1b[K', '\x1b[J'];
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Keys as they come where the terminal leaves them alone: q, Ctrl-C, Ctrl-D; Ctrl-Z. */
const endKeys = /[qQ\x03\x04]/;
const stopKey = '\x1a';

export interface LiveScreen {
  /** Shows these lines, as many as fit, in place of what was there. */
  show(lines: readonly string[]): void;
  /** Resolves when the user has had enough. */
  readonly ended: Promise<void>;
  /** Gives the terminal back as it was. */
  close(): void;
}

/** Takes the terminal of standard output, and the keys of standard input if that is one. It is given back at every end. */
export function openLiveScreen(): LiveScreen {
  const { stdin, stdout } = process;
  let [isOpen, shown]: [boolean, readonly string[]] = [false, []];
  let resolveEnd: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (resolveEnd = resolve));
  const draw = (): void => {
    if (!isOpen) return;
    // A terminal of no known size says 0.
    const [columns, rows] = [stdout.columns || 80, stdout.rows || 24];
    const lines = shown.slice(0, rows - 1).map((line) => line.slice(0, columns) + toLineEnd);
    stdout.write(`${home}${lines.join('\r\n')}${toScreenEnd}`);
  };
  const take = (): void => {
    isOpen = true;
    if (stdin.isTTY) stdin.setRawMode(true);
    stdout.write(enter);
    draw();
  };
  const giveBack = (): void => {
    if (!isOpen) return;
    isOpen = false;
    stdout.write(leave);
    if (stdin.isTTY) stdin.setRawMode(false);
  };
  const end = (): void => {
    giveBack();
    resolveEnd();
  };
  const onKeys = (keys: Buffer): void => {
    const text = keys.toString('latin1');
    if (endKeys.test(text)) end();
    else if (text.includes(stopKey)) {
      giveBack();
      process.once('SIGCONT', take);
      process.kill(process.pid, 'SIGTSTP');
    }
  };
  process.on('exit', giveBack);
  for (const signal of signals) process.on(signal, end);
  stdout.on('resize', draw);
  if (stdin.isTTY) stdin.on('data', onKeys);
  take();
  return {
    show(lines) {
      shown = lines;
      draw();
    },
    ended,
    close() {
      end();
      process.removeListener('exit', giveBack);
      process.removeListener('SIGCONT', take);
      for (const signal of signals) process.removeListener(signal, end);
      stdout.removeListener('resize', draw);
      stdin.removeListener('data', onKeys);
      stdin.pause();
    },
  };
}
