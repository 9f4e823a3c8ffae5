import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** How much there is to publish. */
export interface InputAmount {
  readonly entries: number;
  /** Of content. */
  readonly bytes: number;
}

// So often the clock is asked.
const entriesBetweenLooks = 1000;

/**
 * Counts what directories hold, for who wants to tell how much is left.
 * @returns undefined where one is no directory, can't be read, or has so much that counting takes too long
 */
export function amountOf(from: readonly string[], milliseconds: number): InputAmount | undefined {
  const end = performance.now() + milliseconds;
  const total = { entries: 0, bytes: 0 };
  const count = (path: string | Buffer): boolean => {
    if (++total.entries % entriesBetweenLooks === 0 && performance.now() > end) return false;
    const stats = lstatSync(path);
    if (stats.isFile()) total.bytes += stats.size;
    return !stats.isDirectory() || below(path);
  };
  const below = (path: string | Buffer): boolean => {
    const start = Buffer.concat([Buffer.from(path), Buffer.from('/')]);
    return readdirSync(path, { encoding: 'buffer' }).every((name) =>
      count(Buffer.concat([start, name])),
    );
  };
  try {
    for (const path of from) {
      // A link to a directory is taken as that directory.
      if (path === '-' || !lstatSync(join(path, '.')).isDirectory()) return undefined;
      total.entries++;
      if (!below(path)) return undefined;
    }
  } catch {
    return undefined;
  }
  return total;
}
