import { readdirSync, readFileSync } from 'node:fs';

const intervalMs = 1000;
let last = { at: -Infinity, facts: { filesMax: 0, filesOpen: 0 } };

/** How many files this process may have open, and how many it has; looked at no more than once a second. 0: unknown. */
export function openFiles(): { readonly filesMax: number; readonly filesOpen: number } {
  const now = performance.now();
  if (now - last.at >= intervalMs) last = { at: now, facts: lookNow() };
  return last.facts;
}

function lookNow(): { readonly filesMax: number; readonly filesOpen: number } {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const soft = /^Max open files +([0-9]+)/m.exec(limits)?.[1];
    return { filesMax: Number(soft ?? 0), filesOpen: readdirSync('/proc/self/fd').length };
  } catch {
    return { filesMax: 0, filesOpen: 0 };
  }
}
