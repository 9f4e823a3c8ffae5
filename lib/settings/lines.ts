/** The line of a TOML text on which a key stands, as far as that is written in one of the usual ways; 1 otherwise. */
export function lineOf(text: string, keys: readonly string[]): number {
  const lines = text.split('\n');
  const wanted = keys.join('\0');
  let table: readonly string[] = [];
  let nearest = 1;
  for (const [index, line] of lines.entries()) {
    const header = /^\s*\[\[?([^[\]]+)\]/.exec(line)?.[1];
    const key = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=/.exec(
      line,
    )?.[1];
    if (header !== undefined) table = wordsOf(header);
    else if (key === undefined) continue;
    const here = [...table, ...(key === undefined ? [] : wordsOf(key))];
    if (here.join('\0') === wanted) return index + 1;
    // Such as the header of its table, or the line of an inline one.
    if (here.length > 0 && here.every((word, at) => word === keys[at])) nearest = index + 1;
  }
  return nearest;
}

function wordsOf(dotted: string): string[] {
  return [...dotted.matchAll(/"([^"]*)"|'([^']*)'|([\w-]+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}
