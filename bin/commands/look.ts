import type { OutputFlags } from './options.js';

/* How output looks, as the command line and the environment say: for the whole process. */

type Progressing = 'bar' | 'json' | 'none';

const look = { color: false, heads: false, progress: 'none' as Progressing };

/** To be called once the options of a command are known. */
export function setLook(
  flags: Pick<OutputFlags, 'color' | 'progress' | 'quiet' | 'json'>,
  variables: Readonly<Record<string, string | undefined>> = process.env,
): void {
  const { color = 'auto' } = flags;
  const isWanted = process.stdout.isTTY && !variables['NO_COLOR'] && variables['TERM'] !== 'dumb';
  look.color = flags.json !== true && (color === 'auto' ? isWanted : color === 'always');
  look.heads = process.stdout.isTTY && flags.json !== true;
  if (flags.quiet === true) look.progress = 'none';
  else if (flags.progress === 'json') look.progress = 'json';
  else look.progress = process.stderr.isTTY ? 'bar' : 'none';
}

/** Where progress is told. */
export function progressing(): Progressing {
  return look.progress;
}

/** Whether tables have heads: only a person who sees them is helped by them. */
export function headed(): boolean {
  return look.heads;
}

type Meaning = 'good' | 'bad' | 'doubtful';

const codes: Readonly<Record<Meaning, number>> = { good: 32, bad: 31, doubtful: 33 };

/** A word in the colour of what it means. */
export function painted(word: string, meaning: Meaning): string {
  return look.color ? `\x1b[${codes[meaning]}m${word}\x1b[0m` : word;
}

/** A line that has the status of a verdict in it, with that in its colour. */
export function paintedStatus(line: string, status: string): string {
  const isGood = status === 'verified' || status === 'attested' || status === 'pinned';
  const meaning = isGood ? 'good' : status === 'refused' ? 'bad' : 'doubtful';
  return line.replace(status, () => painted(status, meaning));
}
