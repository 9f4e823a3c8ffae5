/**
 * What the demo shows, as a picture with text in it: `npm run recording` runs it on a terminal of its own and writes
 * docs/demo.svg. Where it can mount, as the demo itself.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkout } from '../lib/testing/genuine.js';
import { onTerminal, openTerminal } from '../lib/testing/terminal.js';

export const recordingPath = join(checkout, 'docs', 'demo.svg');

const [columns, rowsMax] = [120, 200];
// Of a monospaced letter, in pixels.
const [letterWidth, lineHeight, margin] = [8.4, 18, 14];
const [paper, ink] = ['#1e1e1e', '#d4d4d4'];
const colours: readonly (string | undefined)[] = [
  ...['#666666', '#f14c4c', '#23d18b', '#e5c07b', '#3b8eea', '#d670d6', '#29b8db'],
];

/** What was written to a terminal, as an SVG in which each line is text that can be selected. */
export async function recordingOf(text: string): Promise<string> {
  const terminal = await openTerminal(columns, rowsMax);
  await terminal.write(text);
  const lines = terminal.lines();
  const height = lines.length * lineHeight + 2 * margin;
  const width = Math.ceil(columns * letterWidth + 2 * margin);
  const shown = lines.map((line, at) => lineText(line, terminal.colours(at), at));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="pinfs on a terminal">
<style>text { white-space: pre }</style>
<rect width="100%" height="100%" rx="8" fill="${paper}"/>
<g font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="${ink}">
${shown.filter((one) => one !== '').join('\n')}
</g>
</svg>
`;
}

/** One line: a span for each run of letters of one colour. */
function lineText(line: string, colourOf: readonly (number | undefined)[], at: number): string {
  if (line === '') return '';
  const spans: { readonly colour: number | undefined; text: string }[] = [];
  for (const [column, letter] of Array.from(line).entries()) {
    const last = spans.at(-1);
    const colour = colourOf[column];
    if (last !== undefined && last.colour === colour) last.text += letter;
    else spans.push({ colour, text: letter });
  }
  const inside = spans.map(({ colour, text }) => {
    const fill = colour === undefined ? undefined : colours[colour % 8];
    return fill === undefined ? escaped(text) : `<tspan fill="${fill}">${escaped(text)}</tspan>`;
  });
  const y = margin + (at + 1) * lineHeight - 5;
  return `<text x="${margin}" y="${y}">${inside.join('')}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** The same on each machine: where it ran is nobody's matter. */
function anywhere(text: string): string {
  return text
    .replaceAll(checkout, '~/pinfs')
    .replaceAll(/\/tmp\/pinfs-demo-\w+/g, '/tmp/demo')
    .replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:8000');
}

async function record(): Promise<void> {
  const demo = join(checkout, 'dist', 'native-test', 'demo.js');
  // Its server stays until somebody presses Enter.
  const steps = [['Enter', '\r']] as const;
  const ran = await onTerminal([process.execPath, demo], {
    columns,
    rows: 50,
    steps,
    limitMs: 300_000,
  });
  if (ran.code !== 0) throw new Error('the demo failed: run it by itself');
  const text = ran.pieces.map((piece) => piece.text).join('');
  writeFileSync(recordingPath, await recordingOf(anywhere(text)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await record();
