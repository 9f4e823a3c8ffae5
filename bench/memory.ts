/** What the processes of a mount hold. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Held {
  readonly processes: number;
  /** Proportional set size of all of them (bytes). */
  readonly pss: number;
  readonly descriptors: number;
}

/** Stands in the environment of each process of a mount. */
export const markVariable = 'PINFS_BENCH_MOUNT';

/** The processes that bear this mark. */
export function marked(mark: string): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && bears(name, mark));
}

/** Sums what is held by all processes that bear the mark of the mount. */
export function heldBy(mark: string): Held {
  const pids = marked(mark);
  return {
    processes: pids.length,
    pss: pids.reduce((sum, pid) => sum + pssBytes(readOr(`/proc/${pid}/smaps_rollup`)), 0),
    descriptors: pids.reduce((sum, pid) => sum + entries(`/proc/${pid}/fd`), 0),
  };
}

/** @param rollup the content of `smaps_rollup` @returns bytes */
export function pssBytes(rollup: string): number {
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * 1024;
}

function bears(pid: string, mark: string): boolean {
  return readOr(`/proc/${pid}/environ`).split('\0').includes(`${markVariable}=${mark}`);
}

// Processes end while they are looked at.
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function entries(path: string): number {
  try {
    return readdirSync(path).length;
  } catch {
    return 0;
  }
}
