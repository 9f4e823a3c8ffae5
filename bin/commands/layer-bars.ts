import { formatMilliseconds } from './sizes.js';

/** The time of one layer. */
export interface LayerTime {
  readonly name: string;
  readonly milliseconds: number;
}

// What a request of the kernel is made of, and what its waiting is made of.
const whole = 'kernel request';
const waiting = ['queue', 'network', 'inflate', 'verify', 'store'];

const colourOf: Readonly<Record<string, number>> = {
  [whole]: 44,
  catalog: 42,
  shelf: 46,
  reply: 106,
  waiting: 43,
  queue: 47,
  network: 41,
  inflate: 45,
  verify: 104,
  store: 102,
};

const columnsMin = 40;
const columnsMax = 100;

/**
 * A table of layers with a bar each, then the same as a flame: the request, below it what it is made of, below its
 * waiting what was waited for.
 */
export function layerBars(
  layers: readonly LayerTime[],
  columns: number,
  colours: boolean,
): string[] {
  const most = Math.max(...layers.map(({ milliseconds }) => milliseconds));
  const width = Math.min(columnsMax, Math.max(columnsMin, columns)) - 2;
  const rows = layers.map(({ name, milliseconds }) => {
    const length = Math.round((milliseconds / most) * (width - 28));
    return `  ${name.padEnd(15)}${formatMilliseconds(milliseconds).padStart(9)} ${bar(name, length, colours)}`;
  });
  return [...rows, ...flame(layers, width, colours)];
}

function bar(name: string, length: number, colours: boolean): string {
  if (length <= 0) return '';
  return colours ? `\x1b[${colourOf[name] ?? 47}m${' '.repeat(length)}\x1b[0m` : '#'.repeat(length);
}

function flame(layers: readonly LayerTime[], width: number, colours: boolean): string[] {
  const of = (name: string): number =>
    layers.find((layer) => layer.name === name)?.milliseconds ?? 0;
  const request = of(whole);
  if (request === 0) return [];
  const waited = Math.max(0, request - of('catalog') - of('shelf') - of('reply'));
  const second = [
    { name: 'waiting', milliseconds: waited },
    { name: 'catalog', milliseconds: of('catalog') },
    { name: 'shelf', milliseconds: of('shelf') },
    { name: 'reply', milliseconds: of('reply') },
  ];
  const below = layers.filter(({ name }) => waiting.includes(name));
  const spent = below.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const waitedWidth = Math.round((waited / request) * width);
  return [
    `  ${blocks([{ name: whole, milliseconds: request }], width, colours)}`,
    `  ${blocks(second, width, colours)}`,
    ...(spent > 0 && waitedWidth > 0 ? [`  ${blocks(below, waitedWidth, colours)}`] : []),
  ].map((line) => line.trimEnd());
}

/** Blocks beside each other, in proportion, with their names as far as they fit. */
function blocks(layers: readonly LayerTime[], width: number, colours: boolean): string {
  const sum = layers.reduce((all, { milliseconds }) => all + milliseconds, 0);
  let [before, text] = [0, ''];
  for (const { name, milliseconds } of layers) {
    const from = Math.round((before / sum) * width);
    before += milliseconds;
    const length = Math.round((before / sum) * width) - from;
    if (length <= 0) continue;
    const named = length >= 3 ? name.slice(0, length - 2).padEnd(length - 2) : '';
    text += colours
      ? `\x1b[30;${colourOf[name] ?? 47}m${length >= 3 ? ` ${named} ` : ' '.repeat(length)}\x1b[0m`
      : length >= 3
        ? `[${named}]`
        : '|'.repeat(length);
  }
  return text;
}
