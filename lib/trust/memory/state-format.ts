import { decoder, parseJson } from '../../format/schema.js';

/*
 * The version of state files. An older one is taken over: steps lead from each format to the next one. A later
 * one is read as far as it is known here, and nobody writes beside it (seen.ts).
 */

/** Raised by whoever changes the meaning of a field, with a step that leads here from the one before. */
export const stateFormat = 1;

type Fields = Readonly<Record<string, unknown>>;

export interface StateFormats {
  readonly current: number;
  /** By the format that a step begins with: what the next one has for it. */
  readonly steps: Readonly<Record<number, (fields: Fields) => Fields>>;
}

// A step stays for as long as anybody may come from its format.
const stateFormats: StateFormats = { current: stateFormat, steps: {} };

export interface StateFields {
  readonly fields: Fields;
  /** A later version of pinfs wrote it. */
  readonly isNewer: boolean;
}

const formatted = decoder((v) =>
  v.looseObject({ format: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
);

/** The fields of a state file as the current format has them; undefined: it is damaged, or nothing leads here from its format. */
export function readStateFields(
  bytes: Buffer,
  { current, steps }: StateFormats = stateFormats,
): StateFields | undefined {
  const found = formatted(parseJson(bytes.toString('utf8')));
  if (found === undefined) return undefined;
  let fields: Fields = found;
  for (let { format } = found; format < current; format += 1) {
    const step = steps[format];
    if (step === undefined) return undefined;
    fields = step(fields);
  }
  return { fields, isNewer: found.format > current };
}
