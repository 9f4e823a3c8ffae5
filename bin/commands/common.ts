import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import {
  fromBytes,
  fromText,
  printableJson,
  printableText,
  type ByteString,
} from '../../lib/format/bytes.js';
import { asPinfsError, PinfsError, worseExit } from '../../lib/format/errors.js';
import type { OpenOptions } from '../../lib/repository/options.js';
import { offlineInstead, offlineReason } from '../../lib/trust/verdicts.js';
import type { Verdict } from '../../lib/trust/verdict.js';
import { warnOfIgnored } from './ignored.js';
import { ReaderLeft } from './output.js';

/** Flags that every command has. */
export interface OutputFlags {
  readonly json?: boolean;
  readonly verbose?: boolean;
  /** With `json`: one value on each line, errors too. Set by the command, not by the user. */
  readonly jsonLines?: boolean;
}

/** Flags of every command that opens SOURCE[@PIN], as commander names them. */
export interface SourceFlags extends OutputFlags {
  readonly key: string[];
  readonly weakKey?: boolean;
  readonly fqrn?: string;
  readonly blacklist?: string;
  readonly cache?: string;
  readonly cacheLimit?: number;
  readonly trustAt?: string;
  readonly external?: string;
  readonly env: string[];
  readonly offline?: boolean;
  readonly strict?: boolean;
  readonly followRedirects?: boolean;
  /** Seconds. */
  readonly deadline?: number;
  /** Bytes a second. */
  readonly minRate?: number;
  readonly attestation?: string;
  readonly signer: string[];
}

/** What the help says of SOURCE[@PIN]. */
export const sourceArgument =
  'URL or directory, and a root hash, tag or date (no pin: the signed head)';

/** Adds `--json` and `--verbose`. */
export function outputOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON value for programs')
    .option('--verbose', 'say more: the chain of trust step by step, causes of errors');
}

/**
 * Adds the options of a command that opens SOURCE[@PIN].
 * `attest` calls the master keys `--master-key`, because there `--key` is the key that signs.
 */
export function sourceOptions(command: Command, masterKey = '--key'): Command {
  outputOptions(command)
    .option(
      `${masterKey} <file|dir>`,
      'PEM master key, or a directory of them (repeatable)',
      collect,
      [],
    )
    .option('--fqrn <name>', 'name of the repository, where it is not the last part of SOURCE')
    .option('--cache <dir>', 'cache directory (its state lies in DIR/state)')
    .option('--cache-limit <size>', 'most that the cache may hold, such as 500M or 4G', parseSize)
    .option('--trust-at <date>', 'judge the chain of signatures as of this day (ISO 8601)')
    .option('--blacklist <file>', 'fingerprints and revisions that are refused')
    .option('--external <url|dir>', 'where external files lie')
    .option('--env <name[=value]>', 'a variable for links like $(NAME) (repeatable)', collect, [])
    .option('--attestation <file>', 'exactly the snapshot that this file attests, or nothing')
    .option(
      '--signer <pub>',
      'public key that may have signed the attestation (repeatable)',
      collect,
      [],
    )
    .option('--offline', 'use what is in the cache, and no network')
    .option('--strict', 'end with exit code 7 instead of taking what was verified before')
    .option(
      '--deadline <seconds>',
      'how long a read waits without progress (default: 30)',
      parseDeadline,
    )
    .option(
      '--min-rate <size>',
      'bytes a second that are progress, on average over each deadline (default: 1K)',
      parseSize,
    )
    .option('--follow-redirects', 'follow up to 4 redirects of a server')
    .option('--weak-key', 'accept master keys below 2048 bits');
  return command;
}

/** @throws PinfsError USAGE */
function parseDeadline(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 1 && seconds <= 3600)) {
    throw new PinfsError('USAGE', `'${text}' is no deadline`, {
      advice: 'Give seconds, from 1 to 3600.',
    });
  }
  return seconds;
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

/** The options of the library for what stands on the command line. @throws PinfsError USAGE */
export function openOptions(source: string, flags: SourceFlags): OpenOptions {
  warnOfIgnored(source);
  if (flags.signer.length > 0 && flags.attestation === undefined) {
    throw new PinfsError(
      'USAGE',
      '--signer says who may have signed an attestation: none is given',
      {
        advice: 'Give it with --attestation FILE.',
      },
    );
  }
  return {
    source,
    keys: flags.key,
    variables: flags.env,
    signers: flags.signer,
    ...(flags.weakKey === undefined ? {} : { weakKey: flags.weakKey }),
    ...(flags.fqrn === undefined ? {} : { fqrn: flags.fqrn }),
    ...(flags.blacklist === undefined ? {} : { blacklist: flags.blacklist }),
    ...(flags.cache === undefined ? {} : { cache: flags.cache }),
    ...(flags.cacheLimit === undefined ? {} : { cacheLimit: flags.cacheLimit }),
    ...(flags.trustAt === undefined ? {} : { trustAt: flags.trustAt }),
    ...(flags.external === undefined ? {} : { external: flags.external }),
    ...(flags.offline === undefined ? {} : { offline: flags.offline }),
    ...(flags.strict === undefined ? {} : { strict: flags.strict }),
    ...(flags.deadline === undefined ? {} : { deadline: Math.round(flags.deadline * 1000) }),
    ...(flags.minRate === undefined ? {} : { minRate: flags.minRate }),
    ...(flags.followRedirects === undefined ? {} : { followRedirects: flags.followRedirects }),
    ...(flags.attestation === undefined ? {} : { attestation: flags.attestation }),
  };
}

const units: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** `500M`, `4G`, `1048576` in bytes. @throws PinfsError USAGE. */
export function parseSize(text: string): number {
  const match = /^(\d{1,15})([KMGT]?)(?:i?B)?$/i.exec(text);
  const unit = units[(match?.[2] ?? '').toUpperCase()];
  const bytes = Number(match?.[1]) * (unit ?? NaN);
  if (!Number.isSafeInteger(bytes) || bytes === 0) {
    throw new PinfsError('USAGE', `'${text}' is no size`, { advice: 'Write it like 500M or 4G.' });
  }
  return bytes;
}

/** Sizes for people: `1.5 MiB`. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < names.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${index === 0 ? String(value) : value.toFixed(1)} ${names[index] ?? ''}`;
}

export function printJson(value: unknown, lines = false): void {
  process.stdout.write(`${printableJson(value, lines ? undefined : 2)}\n`);
}

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
  const error = asPinfsError(thrown);
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

let rawArguments: Buffer[] | undefined;

/**
 * An argument as the bytes that were given. Node reads arguments as UTF-8, which loses what is not;
 * the kernel still has them. Ask once for each argument, in the order of the command line.
 */
export function argumentBytes(text: string): ByteString {
  if (!text.includes('\ufffd')) return fromText(text);
  rawArguments ??= readRawArguments();
  const at = rawArguments.findIndex((bytes) => bytes.toString('utf8') === text);
  const [found] = at < 0 ? [] : rawArguments.splice(at, 1);
  return found === undefined ? fromText(text) : fromBytes(found);
}

function readRawArguments(): Buffer[] {
  let line: Buffer;
  try {
    line = readFileSync('/proc/self/cmdline');
  } catch {
    return [];
  }
  const found: Buffer[] = [];
  for (let start = 0, end = line.indexOf(0); end >= 0; end = line.indexOf(0, start)) {
    found.push(line.subarray(start, end));
    start = end + 1;
  }
  return found;
}
