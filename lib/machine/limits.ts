import { readFileSync } from 'node:fs';

/** The resource limits that pinfs looks at, as /proc/self/limits calls them (proc(5)). */
export type LimitName = 'Max address space' | 'Max open files';

/** A soft limit of this process (bytes, or a number); undefined: there is none, or it can't be seen. */
export function softLimit(name: LimitName): number | undefined {
  let text: string;
  try {
    text = readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return undefined;
  }
  return parseSoftLimit(text, name);
}

/** The same from the text of /proc/self/limits. */
export function parseSoftLimit(text: string, name: LimitName): number | undefined {
  const line = text.split('\n').find((candidate) => candidate.startsWith(name));
  const soft = /^\s+(\d{1,20})\s/.exec(line?.slice(name.length) ?? '')?.[1];
  return soft === undefined ? undefined : Number(soft);
}
