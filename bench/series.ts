/** What was measured in a series, and its table. */
import { median } from './median.js';

export interface Measured {
  readonly row: string;
  /** `local`, `curl`, or a client. */
  readonly who: string;
  /** Which of several things of this row; may be empty. */
  readonly what: string;
  readonly unit: string;
  readonly values: number[];
}

export interface Series {
  /** What is noted from now on belongs to this row. */
  begin(row: string): void;
  note(who: string, what: string, value: number, unit?: string): void;
  /** Caches of the kernel could not be dropped. */
  pagesKept(): void;
  readonly measured: readonly Measured[];
  table(): string;
}

export function makeSeries(): Series {
  const measured: Measured[] = [];
  let row = '';
  let kept = false;
  return {
    begin(name) {
      row = name;
    },
    note(who, what, value, unit = 'ms') {
      const same = measured.find((one) => one.row === row && one.who === who && one.what === what);
      if (same === undefined) measured.push({ row, who, what, unit, values: [value] });
      else same.values.push(value);
    },
    pagesKept() {
      kept = true;
    },
    measured,
    table() {
      const warning = kept ? 'Caches of the kernel were not dropped (only root may).\n\n' : '';
      return warning + tableOf(measured);
    },
  };
}

/** Medians, and each time as a ratio to curl and to the local copy of the same row. */
function tableOf(measured: readonly Measured[]): string {
  const lines = measured.map((one) => {
    const value = median(one.values);
    const spread = `${figure(Math.min(...one.values))}–${figure(Math.max(...one.values))}`;
    const ratio = (who: string): string => {
      if (one.unit !== 'ms' || one.who === who) return '';
      const base = baseline(measured, one, who);
      return base === undefined ? '' : (value / base).toFixed(2);
    };
    const cells = [one.row, one.who, one.what, `${figure(value)} ${one.unit}`, spread];
    return `| ${[...cells, ratio('curl'), ratio('local')].join(' | ')} |`;
  });
  const head = [
    '| row | who | what | median | range | × curl | × local |',
    '| --- | --- | --- | --- | --- | --- | --- |',
  ];
  return [...head, ...lines, ''].join('\n');
}

function baseline(all: readonly Measured[], of: Measured, who: string): number | undefined {
  const candidates = all.filter((one) => one.row === of.row && one.who === who);
  const found =
    candidates.find((one) => one.what === of.what) ?? candidates.find((one) => one.what === '');
  return found && median(found.values);
}

function figure(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}
