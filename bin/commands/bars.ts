/** Pictures of numbers in a terminal. Where the output is no terminal there are none. */

const eighths = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const heights = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

function hasPictures(): boolean {
  return process.stdout.isTTY;
}

/** A bar for a share from 0 to 1, with the blank that goes before it; empty where there are no pictures. */
export function bar(share: number, columns = 20, isShown = hasPictures()): string {
  if (!isShown) return '';
  const parts = Math.round(Math.min(1, Math.max(0, share)) * columns * 8);
  const full = '█'.repeat(Math.floor(parts / 8));
  const rest = parts % 8 === 0 ? '' : (eighths[parts % 8] ?? '');
  return `  ${(full + rest).padEnd(columns)}`;
}

/** A line of bars for shares from 0 to 1; empty where there are no pictures. */
export function sparkline(shares: readonly number[], isShown = hasPictures()): string {
  if (!isShown) return '';
  return shares
    .map((share) => heights[Math.round(Math.min(1, Math.max(0, share)) * 7)] ?? ' ')
    .join('');
}

/** `83.2 %`. @param share 0 to 1; of nothing a dash. */
export function percent(share: number, digits = 1): string {
  return Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '-';
}
