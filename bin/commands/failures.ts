import { printableText } from '../../lib/format/bytes.js';
import { asPinfsError, worseExit, type PinfsError } from '../../lib/format/errors.js';
import { fileError } from '../../lib/format/file-fault.js';
import { offlineInstead, offlineReason } from '../../lib/trust/verdicts.js';
import type { Verdict } from '../../lib/trust/verdict/verdict.js';
import type { OutputFlags } from './options.js';
import { printJson, ReaderLeft } from './output.js';

/* What goes wrong, as a command tells it: errors, warnings, the exit code. */

/** Runs the body of a command: its errors are printed, and decide the exit code. */
export async function runAction(flags: OutputFlags, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (thrown) {
    noteExit(reportError(thrown, flags));
  }
}

/** The exit code of something after which a command goes on; the worst one that it meets stands. */
export function noteExit(exit: number): void {
  // Left undefined where all is well: a failure to write the output still decides then.
  if (exit !== 0) process.exitCode = worseExit(Number(process.exitCode ?? 0), exit);
}

/** What an error is for programs. */
export function errorJson(error: PinfsError): Record<string, string | number | null> {
  const { code, message, exit } = error;
  return { code, message, advice: error.advice ?? null, exit };
}

/** Prints an error (text to stderr; with `--json` one JSON value to stdout) and gives its exit code. */
export function reportError(thrown: unknown, flags: OutputFlags): number {
  if (thrown instanceof ReaderLeft) return 1;
  const error = describedError(thrown);
  if (flags.json === true) {
    printJson({ error: errorJson(error) }, flags.jsonLines);
  } else {
    process.stderr.write(`pinfs: ${printableText(error.message)} [${error.code}]\n`);
    if (error.advice !== undefined) process.stderr.write(`  ${printableText(error.advice)}\n`);
    if (flags.verbose === true || error.code === 'INTERNAL') {
      process.stderr.write(`${describeCause(error)}\n`);
    }
  }
  return error.exit;
}

/** What comes bare from a call of the file system is told with its file, why, and what to do. */
function describedError(thrown: unknown): PinfsError {
  if (!(thrown instanceof Error) || !('path' in thrown) || !('syscall' in thrown)) {
    return asPinfsError(thrown);
  }
  // What was only read has an error of its own where it is read.
  return fileError('OUTPUT_FAILED', 'write', '', String(thrown.path), thrown);
}

function describeCause(error: PinfsError): string {
  const { cause, stack } = error;
  const text = cause instanceof Error ? `cause: ${cause.stack ?? cause.message}` : (stack ?? '');
  return `  ${text.split('\n').map(printableText).join('\n')}`;
}

/** What is shown is not what the source has now: says so on stderr, and why. */
export function warnOffline(verdict: Verdict): void {
  if (verdict.status !== 'offline') return;
  warn(`offline: ${offlineReason(verdict)}`, offlineInstead(verdict));
}

/** A warning, and a second line for what follows from it. */
export function warn(text: string, more?: string): void {
  process.stderr.write(`pinfs: warning: ${printableText(text)}\n`);
  if (more !== undefined) process.stderr.write(`  ${printableText(more)}\n`);
}
