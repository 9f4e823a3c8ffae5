import { readFileSync, type BigIntStats } from 'node:fs';

let boot: string | undefined;

/**
 * By what a file is recognised as the one that was checked. Nothing is fsynced, so a record counts
 * only for the boot of the machine in which the file was written or last checked; behind it the file
 * is hashed once more.
 */
export function stampOf(status: BigIntStats): string {
  boot ??= bootId();
  return `${status.ino}:${status.mtimeNs}:${status.ctimeNs}:${boot}`;
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
  } catch {
    return 'unknown';
  }
}
