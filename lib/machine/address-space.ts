import { PinfsError } from '../format/errors.js';
import { softLimit } from './limits.js';

/**
 * Where address space is limited (`ulimit -v`, as batch systems and web hosts do): V8 reserves 10 GiB
 * around each WebAssembly memory, so that the hardware finds accesses beyond its end, and llhttp, by
 * which undici reads answers, is WebAssembly. Without that trap handler it reserves what the memory may
 * grow to: 4 GiB, unless that is bounded as well.
 */

/** From here on there is room for the reservations of all that pinfs loads (bytes). */
const plentyBytes = 48 * 2 ** 30;

const noTraps = '--disable-wasm-trap-handler';
/** 64 MiB, in pages of 64 KiB; llhttp needs one hundredth. */
const smallMemory = '--wasm-max-mem-pages=1024';

/**
 * What Node has to be started with where address space is limited. Both are known since Node 20.15;
 * they can't be set later.
 */
export function frugalArguments(limitBytes = softLimit('Max address space')): readonly string[] {
  return limitBytes === undefined || limitBytes >= plentyBytes ? [] : [noTraps, smallMemory];
}

/** What a thread of ours may use for compiled code (MiB): V8 reserves it, and its own choice is 512. */
export const threadCodeMb = 64;

/** Whether this process was started with them, or does not need them. */
export function isFrugal(limitBytes = softLimit('Max address space')): boolean {
  return frugalArguments(limitBytes).every((argument) => process.execArgv.includes(argument));
}

/**
 * The least that is enough (bytes), measured, with some more: below it V8 ends the process when it
 * can't have what it needs. Node itself does not start with less than 0.8 GB.
 */
export const leastAddressSpaceBytes = { command: 1.5e9, mount: 2.4e9 } as const;

/** @throws PinfsError MEMORY_LIMITED if V8 would end this process sooner or later. */
export function checkAddressSpace(
  what: keyof typeof leastAddressSpaceBytes,
  limitBytes = softLimit('Max address space'),
): void {
  const leastBytes = leastAddressSpaceBytes[what];
  if (limitBytes === undefined || limitBytes >= leastBytes) return;
  const least = megabytes(leastBytes);
  throw new PinfsError(
    'MEMORY_LIMITED',
    `this process may have ${megabytes(limitBytes)} of address space, and a ${what} needs ${least}`,
    {
      advice: `Raise the limit: ulimit -v ${Math.ceil(leastBytes / 1024)}, or what the batch system calls so.`,
    },
  );
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}
