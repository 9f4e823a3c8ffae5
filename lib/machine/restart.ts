import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const F_SETFD = 2;

/**
 * Runs this program anew in its place: same process, same arguments, same descriptors, but with
 * `nodeArguments` for Node. Comes back only where that can't be done (no koffi, no /proc).
 */
export function restart(nodeArguments: readonly string[]): void {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const libc = koffi.load(null);
    const execv = libc.func('int execv(const void*, const void*)');
    const fcntl = libc.func('int fcntl(int, int, ...)');
    const [program, ...rest] = readArguments();
    if (program === undefined) return;
    const words = [program, ...nodeArguments.map((text) => Buffer.from(`${text}\0`)), ...rest];
    const table = Buffer.alloc(8 * (words.length + 1));
    for (const [index, word] of words.entries()) {
      table.writeBigUInt64LE(koffi.address(word), 8 * index);
    }
    // Node closes on exec what it inherited, too.
    for (const fd of keptDescriptors(rest)) fcntl(fd, F_SETFD, 'int', 0);
    execv(Buffer.from(`${process.execPath}\0`), table);
  } catch {
    return;
  }
}

/** The words of the command line as bytes, each with its NUL. */
function readArguments(): Buffer[] {
  const line = readFileSync('/proc/self/cmdline');
  const words: Buffer[] = [];
  for (let start = 0, end = line.indexOf(0); end >= 0; end = line.indexOf(0, start)) {
    // Memory of its own, which does not move: the kernel reads it by its address.
    words.push(Buffer.from(Uint8Array.from(line.subarray(start, end + 1)).buffer));
    start = end + 1;
  }
  return words;
}

/** The standard ones, and those that the arguments name: /dev/fd/N, as of `--key <(…)` in a shell. */
function keptDescriptors(words: readonly Buffer[]): number[] {
  const named = words.flatMap((word) => [
    ...word.toString('latin1').matchAll(/\/(?:dev|proc\/self)\/fd\/(\d{1,6})/g),
  ]);
  return [0, 1, 2, ...named.map((match) => Number(match[1]))];
}
