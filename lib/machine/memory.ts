/**
 * How a process is started that serves for days: it should not keep what it needed when it was busy. These can be set
 * before it begins alone; they count for all its threads. Figures in bench/README.md.
 */

/**
 * V8 gives young objects up to three times this (MiB) in each thread; its own choice is 16. With half of it a cold `tar`
 * collects twice as often, and each time half as much: it takes the same CPU, and with 2 31 MiB less than with 8.
 */
const semiSpaceMb = 2;

/**
 * The smaller what old objects may have (MiB), the sooner V8 takes the dead ones away; its own choice is some GiB, and
 * then 50 MB of them lie about after a cold `tar`, with this one 20. The thread that fetches needs less than 64.
 */
const oldSpaceMb = 512;

/** glibc makes up to eight heaps for each core, and gives nothing back of one in which anything is still in use. */
const mallocArenas = 2;

export const servingArguments: readonly string[] = [
  `--max-semi-space-size=${semiSpaceMb}`,
  `--max-old-space-size=${oldSpaceMb}`,
  // llhttp, by which undici reads answers, is WebAssembly. To optimize it takes 35 MiB and 0.07 s of CPU, and makes an
  // answer 0.0005 ms cheaper, of 0.3 ms.
  '--liftoff-only',
  // What rests collects its garbage (rest.ts).
  '--expose-gc',
];

/** @returns the environment with what is lacking in it; what the user chose stays. */
export function servingEnvironment(given: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { MALLOC_ARENA_MAX: String(mallocArenas), ...given };
}
