import type { Configuration, Origin, Setting } from './configuration.js';
import { nearestName } from './nearest.js';
import { parameterOf, parameters } from './parameters.js';

/** What pinfs does with a value. */
export interface ShownSetting {
  readonly name: string;
  /** Null: it is not known, and counts as not set. */
  readonly value: string | null;
  readonly origin: Origin;
  readonly overrode: Setting['overrode'];
  /** `unknown`: no parameter has this name; `own`: a variable of the site's, for links and files. */
  readonly handling: 'honoured' | 'otherwise' | 'unsupported' | 'inside' | 'unknown' | 'own';
  /** How otherwise, why not, or what may be meant. */
  readonly note: string;
}

/** Every value, in the order of the names. */
export function shownSettings({ settings }: Configuration): ShownSetting[] {
  return [...settings.values()]
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .map((setting) => ({
      name: setting.name,
      value: setting.unknown === undefined ? setting.value : null,
      origin: setting.origin,
      overrode: setting.overrode,
      ...handlingOf(setting),
    }));
}

function handlingOf({ name, unknown }: Setting): Pick<ShownSetting, 'handling' | 'note'> {
  const parameter = parameterOf(name);
  const mended = unknown === undefined ? '' : `not understood: ${unknown.text}. ${unknown.mend}`;
  if (parameter !== undefined) {
    const { handling, note } = parameter;
    return { handling, note: mended === '' ? note : mended };
  }
  if (!name.startsWith('CVMFS_')) return { handling: 'own', note: mended };
  const meant = nearestParameter(name);
  const note = meant === undefined ? 'no parameter has this name' : `did you mean ${meant}?`;
  return { handling: 'unknown', note };
}

/** The parameter that a name with a typing error means. */
export function nearestParameter(name: string): string | undefined {
  return nearestName(
    name,
    parameters.filter(({ use }) => use !== 'server').map((parameter) => parameter.name),
  );
}

const handlingWords: Readonly<Record<ShownSetting['handling'], string>> = {
  honoured: 'honoured',
  otherwise: 'honoured in another way',
  unsupported: 'not supported',
  inside: 'for the files themselves',
  unknown: 'unknown',
  own: "a variable of the site's",
};

/** For people: name, value, origin and note of each, and below it what it overrides. */
export function siteRows(shown: readonly ShownSetting[]): string[][] {
  return shown.flatMap(({ name, value, origin, overrode, handling, note }) => [
    [
      name,
      value === null ? '-' : shellQuoted(value),
      originText(origin),
      `${handlingWords[handling]}${note === '' ? '' : `: ${note}`}`,
    ],
    ...overrode.map(({ value, origin }) => [
      '',
      shellQuoted(value),
      originText(origin),
      'overridden',
    ]),
  ]);
}

export function originText(origin: Origin): string {
  return 'option' in origin ? origin.option : `${origin.file}:${origin.line}`;
}

/** A value as a file of configuration would have it. */
function shellQuoted(value: string): string {
  return /^[\w./:@,+-]+$/.test(value) ? value : `'${value.replaceAll("'", String.raw`'\''`)}'`;
}
