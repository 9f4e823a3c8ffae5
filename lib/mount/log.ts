import { fstatSync } from 'node:fs';
import { pino } from 'pino';
import { fromText, printable } from '../format/bytes.js';
import { fileFault } from '../format/file-fault.js';
import { PinfsError } from '../format/errors.js';
import { jsonField, parseJson } from '../format/schema.js';
import { openLogFile, type LogFile } from './log-file.js';

export interface Log {
  readonly info: LogFunction;
  readonly warn: LogFunction;
  readonly error: LogFunction;
  /** The last lines, one for each entry, with their time. */
  readonly recent?: () => string;
  /** Goes over to the file that lies at its path now. */
  readonly reopen?: () => void;
  /** Lets go of its file where it lies on a device, until it is opened anew. */
  readonly leave?: (device: number) => void;
}

/** What is less than this is left out. */
export type LogLevel = 'info' | 'warn' | 'error';

export type LogFunction = (message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Lines a minute; the rest is counted. A hostile server must not fill the disk through our log. */
const linesEachMinuteMax = 600;
/** Lines that are remembered for `user.logbuffer`, and the length of each (UTF-16 units, as of a string). */
const recentLinesMax = 32;
const recentLineLengthMax = 300;

/**
 * The log of a mount: JSON lines appended to `file` (mode 0600), or lines for people on stderr.
 * Written at once, so that the last words before a crash are in it.
 * @throws PinfsError USAGE when the file can't be opened.
 */
export function openLog(
  file: string | undefined,
  level: LogLevel = 'info',
  output: (text: string) => void = writeError,
): Log {
  const opened = file === undefined ? undefined : openFile(file);
  const logger = pino(
    { level, base: { pid: process.pid } },
    opened ?? { write: (line) => output(lineForPeople(line, isJournal())) },
  );
  const meter = createMeter(linesEachMinuteMax);
  const write = (level: 'info' | 'warn' | 'error'): LogFunction => {
    return (message, fields = {}) => {
      const { pass, dropped } = meter(Date.now());
      if (!pass) return;
      if (dropped > 0) logger.warn({ dropped }, 'too many lines: some were left out');
      logger[level](fields, message);
      remember(message);
    };
  };
  const lines: string[] = [];
  const remember = (message: string): void => {
    const text = printable(fromText(message)).slice(0, recentLineLengthMax);
    lines.push(`[${new Date().toISOString()}] ${text}\n`);
    if (lines.length > recentLinesMax) lines.shift();
  };
  return {
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    recent: () => lines.join(''),
    reopen: () => opened?.reopen(),
    leave: (device) => opened?.leave(device),
  };
}

function openFile(file: string): LogFile {
  try {
    return openLogFile(file);
  } catch (thrown) {
    throw new PinfsError(
      'USAGE',
      `can't write the log ${file}: ${fileFault(thrown, 'write').why}`,
      {
        advice: 'Give another one with --log FILE.',
      },
    );
  }
}

function writeError(text: string): void {
  process.stderr.write(text);
}

/** Whether what is written to stderr goes to the journal, as systemd says (systemd.exec(5)). */
function isJournal(): boolean {
  const { dev, ino } = fstatSync(2);
  return process.env['JOURNAL_STREAM'] === `${dev}:${ino}`;
}

/** The journal takes the level from a number in front (sd-daemon(3)), people from a word. */
export function lineForPeople(line: string, toJournal: boolean): string {
  const parsed = parseJson(line);
  const [level, msg, dropped] = ['level', 'msg', 'dropped'].map((name) => jsonField(parsed, name));
  const number = typeof level === 'number' ? level : 30;
  const word = number >= 50 ? 'error: ' : number >= 40 ? 'warning: ' : '';
  const priority = number >= 50 ? 3 : number >= 40 ? 4 : 6;
  const count = typeof dropped === 'number' ? ` (${dropped})` : '';
  const text = `${printable(fromText(String(msg)))}${count}`;
  return toJournal ? `<${priority}>${text}\n` : `pinfs: ${word}${text}\n`;
}

/** Lets `limit` lines pass in each minute, and says at the next one that passes how many did not. */
export function createMeter(limit: number): (now: number) => { pass: boolean; dropped: number } {
  let minute = 0;
  let lines = 0;
  let dropped = 0;
  return (now) => {
    const current = Math.floor(now / 60_000);
    if (current !== minute) {
      minute = current;
      lines = 0;
    }
    lines += 1;
    if (lines > limit) {
      dropped += 1;
      return { pass: false, dropped };
    }
    const before = dropped;
    dropped = 0;
    return { pass: true, dropped: before };
  };
}
