/** Lines that are more than any site has. */
const linesMax = 100_000;
const idMax = 2 ** 32 - 2;

/** Numbers by the published ones, and what all others are; or the number of a line that is none. */
export type ParsedIdMap =
  | { readonly ids: Readonly<Record<number, number>>; readonly others?: number }
  | { readonly line: number };

/** A map of owners or groups: lines `FROM TO`, blanks between, `#` begins a comment, `*` stands for all others. */
export function parseIdMap(text: string): ParsedIdMap {
  const ids: Record<number, number> = {};
  let others: number | undefined;
  const lines = text.split('\n');
  for (const [at, line] of lines.entries()) {
    const words = line
      .replace(/#.*/, '')
      .split(/[ \t\r]+/)
      .filter((word) => word !== '');
    if (words.length === 0) continue;
    const [from = '', to = ''] = words;
    const isLine = words.length === 2 && (from === '*' || isId(from)) && isId(to);
    if (!isLine || at >= linesMax) return { line: at + 1 };
    if (from === '*') others = Number(to);
    else ids[Number(from)] = Number(to);
  }
  return others === undefined ? { ids } : { ids, others };
}

function isId(word: string): boolean {
  return /^\d{1,10}$/.test(word) && Number(word) <= idMax;
}
