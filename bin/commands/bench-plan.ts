import { PinfsError } from '../../lib/format/errors.js';
import { splitSourcePin } from '../../lib/source/source-pin.js';
import { parseSize } from './sizes.js';

/** One combination that is measured. */
export interface PlannedCase {
  readonly label: string;
  /** Without its pin. */
  readonly source: string;
  readonly pin: string | undefined;
  /** undefined: as `--driver` says. */
  readonly driver: string | undefined;
  /** Bytes; undefined: the usual limit. */
  readonly cacheLimit: number | undefined;
  readonly clients: number;
}

export interface PlanFlags {
  readonly against?: readonly string[];
  readonly drivers?: string;
  readonly cacheLimit?: string;
  readonly clients: string;
}

const casesMax = 64;
const clientsMax = 256;

/** Every combination of what is given. @throws PinfsError USAGE. */
export function planCases(source: string, flags: PlanFlags): PlannedCase[] {
  const sources = [source, ...(flags.against ?? [])].map((text) => splitSourcePin(text));
  const drivers = flags.drivers === undefined ? [undefined] : listOf(flags.drivers).map(driverOf);
  const limits =
    flags.cacheLimit === undefined ? [undefined] : listOf(flags.cacheLimit).map(parseSize);
  const limitTexts = flags.cacheLimit === undefined ? [] : listOf(flags.cacheLimit);
  const clients = listOf(flags.clients).map(clientsOf);
  const shown = sources.map(({ source, pin }, index) =>
    sources.some((other) => other.source !== source)
      ? `${index + 1}: ${lastPart(source)}${pin === undefined ? '' : `@${pin}`}`
      : pin === undefined
        ? 'head'
        : `@${pin}`,
  );
  const cases = sources.flatMap((one, index) =>
    drivers.flatMap((driver) =>
      limits.flatMap((cacheLimit, which) =>
        clients.map((count) => ({
          ...one,
          driver,
          cacheLimit,
          clients: count,
          label: labelOf([
            sources.length > 1 ? shown[index] : undefined,
            driver,
            cacheLimit === undefined ? undefined : `limit ${limitTexts[which] ?? ''}`,
            clients.length > 1 || count > 1 ? `${count} clients` : undefined,
          ]),
        })),
      ),
    ),
  );
  if (cases.length > casesMax) {
    throw new PinfsError('USAGE', `these are ${cases.length} combinations`, {
      advice: `Give at most ${casesMax} at once.`,
    });
  }
  const twice = cases.find(({ label }, index) =>
    cases.some((other, at) => at < index && other.label === label),
  );
  if (twice === undefined) return cases;
  throw new PinfsError('USAGE', `'${twice.label}' is given twice`);
}

function labelOf(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined).join(', ') || 'as it is';
}

function lastPart(source: string): string {
  return source.replace(/\/+$/, '').replace(/^.*\//s, '');
}

function listOf(text: string): string[] {
  return text.split(',').map((part) => part.trim());
}

function driverOf(text: string): string {
  if (text === 'kernel' || text === 'fuse-native') return text;
  throw new PinfsError('USAGE', `'${text}' is no driver`, {
    advice: 'Write it like kernel,fuse-native.',
  });
}

function clientsOf(text: string): number {
  const count = Number(text);
  if (/^\d{1,3}$/.test(text) && count >= 1 && count <= clientsMax) return count;
  throw new PinfsError('USAGE', `'${text}' is no number of clients`, {
    advice: `Give 1 to ${clientsMax}, several like 1,8,64.`,
  });
}

/** @throws PinfsError USAGE */
export function parseSeed(text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new PinfsError('USAGE', `'${text}' is no seed`, { advice: 'Give a number below 2^32.' });
}
