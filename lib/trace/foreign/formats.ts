import { createHash } from 'node:crypto';
import { PinfsError } from '../../format/errors.js';
import type { Access } from '../trace.js';

/** Traces of other tools (docs/trace-format.md, 5). */
export const foreignFormats = ['libcachesim-csv', 'oracle-general', 'cvmfs-tracer'] as const;
export type ForeignFormat = (typeof foreignFormats)[number];

/** What the file of another tool holds. */
export interface ImportedTrace {
  /** Milliseconds since 1970 at the first access; 0: not told. */
  readonly startedAt: number;
  /** In the order of their times, which begin at 0. */
  readonly accesses: Iterable<Access>;
}

/** Microseconds of a second. */
export const secondUs = 1_000_000;

/** An access of which others tell no more. */
export function foreignAccess(time: number, object: string, size: number, path: string): Access {
  return {
    time,
    duration: 0,
    operation: 'read',
    level: 'none',
    object,
    plainSize: size,
    offset: 0,
    length: Number.isNaN(size) ? 0 : size,
    path,
    pid: 0,
    processName: '',
  };
}

/** An object by its number. */
export function numberedObject(number: bigint): string {
  return `foreign:${BigInt.asUintN(64, number).toString(16).padStart(16, '0')}`;
}

/** An object by a name that is no number: the begin of its SHA-1. */
export function namedObject(name: string): string {
  return `foreign:${createHash('sha1').update(name, 'latin1').digest('hex').slice(0, 16)}`;
}

export function notSuchTrace(format: ForeignFormat, where: string): PinfsError {
  return new PinfsError('NOT_A_TRACE', `this is no trace of the format ${format}: ${where}`);
}

// No line of such a file is longer (bytes).
const lineBytesMax = 64 * 1024;

/** The lines of a file as byte strings, with their numbers. @throws PinfsError NOT_A_TRACE for one that is too long */
export function* linesOf(
  bytes: Buffer,
  format: ForeignFormat,
): Generator<{ readonly text: string; readonly where: string }> {
  let number = 0;
  for (let at = 0; at < bytes.length;) {
    number++;
    const found = bytes.indexOf(0x0a, at);
    const end = found === -1 ? bytes.length : found;
    const where = `line ${number}`;
    if (end - at > lineBytesMax) throw notSuchTrace(format, where);
    const text = bytes.toString('latin1', at, end).replace(/\r$/, '');
    at = end + 1;
    if (text !== '') yield { text, where };
  }
}
