import { readdir } from 'node:fs/promises';
import { holderOf, linksOf, type Holder } from './holders.js';
import { systemCalls } from './system-calls.js';

/**
 * Who is still in a snapshot that a mount of the kernel driver served before: each snapshot has a generation, and
 * the kernel tells that of a node without asking whoever serves it.
 */

export interface OldHolder extends Holder {
  readonly generation: number;
}

// As many are named; whoever looks for more has fuser(1).
const namedHoldersMax = 10;

/**
 * Processes that have a node of an older generation than the current one, each generation once.
 * @param device `major:minor`
 */
export async function oldHolders(device: string, current: number): Promise<readonly OldHolder[]> {
  let calls;
  try {
    calls = systemCalls();
  } catch {
    return [];
  }
  const holders: OldHolder[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    const seen = new Set<number>();
    for (const { path, how } of await linksOf(pid)) {
      if (calls.deviceNumber(path) !== device) continue;
      const generation = calls.fuseGeneration(path);
      // The root is the same node in each of them, and has none.
      if (generation === undefined || generation === 0 || generation === current) continue;
      if (seen.has(generation)) continue;
      seen.add(generation);
      holders.push({ ...(await holderOf(pid, how)), generation });
    }
  }
  return holders;
}

/** One line for people; undefined: nobody is seen. */
export async function namesOfOldHolders(
  device: string | undefined,
  current: number,
): Promise<string | undefined> {
  if (device === undefined) return undefined;
  return namesOf(await oldHolders(device, current));
}

/** One line for people; undefined: there are none. */
export function namesOf(holders: readonly Holder[]): string | undefined {
  if (holders.length === 0) return undefined;
  const names = holders.map(({ pid, command, how }) => `${pid} (${command}: ${how})`);
  const more = names.length > namedHoldersMax ? ` and ${names.length - namedHoldersMax} more` : '';
  return names.slice(0, namedHoldersMax).join(', ') + more;
}
