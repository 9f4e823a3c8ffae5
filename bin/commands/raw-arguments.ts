import { readFileSync } from 'node:fs';
import { fromBytes, fromText, type ByteString } from '../../lib/format/bytes.js';

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
