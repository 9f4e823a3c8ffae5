import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { decoder } from '../../format/schema.js';
import type { ServerMemory } from '../../source/order/server-order.js';
import { makeStateDirectory, readState, writeState } from '../../trust/memory/state-files.js';
import { readStateFields, stateFormat } from '../../trust/memory/state-format.js';

/* How soon servers answered, and what their Geo API said: so that the next mount begins with the right one. */

const fileName = 'servers.json';
const entriesMax = 64;
const textLengthMax = 20_000;
// A time is of use for so long (ms); an answer of the Geo API, as long as its servers say (max-age).
const timeAgeMsMax = 30 * 86_400_000;
const answerAgeMsMax = 3_600_000;
// What was measured is written so much later, with what else is measured meanwhile (ms).
const writeAfterMs = 2_000;
// Times that differ by less than this factor are the same, for so long (ms).
const sameFactor = 1.5;
const sameAgeMsMax = 86_400_000;

interface Remembered {
  uuid: string | undefined;
  /** By URL: milliseconds, and when that was measured (ms since 1970). */
  readonly times: Map<string, { readonly milliseconds: number; readonly at: number }>;
  readonly answers: Map<string, { readonly answer: string; readonly at: number }>;
  /** A later version of pinfs wrote it, or it can't be read: nothing is written. */
  isForeign: boolean;
}

const known = decoder((v) => {
  const text = v.pipe(v.string(), v.maxLength(textLengthMax));
  const number = v.pipe(v.number(), v.finite(), v.minValue(0));
  const list = <const E extends Parameters<typeof v.object>[0]>(entries: E) =>
    v.pipe(v.array(v.object(entries)), v.maxLength(entriesMax));
  return v.object({
    uuid: v.pipe(v.string(), v.regex(/^[0-9a-f-]{36}$/)),
    times: list({ server: text, milliseconds: number, at: number }),
    answers: list({ question: text, answer: text, at: number }),
  });
});

/**
 * What is remembered in a state directory, which is read when it is asked for first. Nobody relies on it: what is
 * damaged is forgotten, and what can't be written is not remembered.
 */
export function openServerMemory(state: string, clock: () => number): ServerMemory {
  const path = join(state, fileName);
  let loaded: Remembered | undefined;
  const memory = (): Remembered => (loaded ??= read(path));
  let timer: NodeJS.Timeout | undefined;
  const uuid = (): string => (memory().uuid ??= randomUUID());
  const flush = (): void => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    // What others wrote meanwhile stays.
    const all = merged(read(path), memory());
    memory().uuid = all.uuid ?? uuid();
    write(state, { ...all, uuid: uuid() });
  };
  const changed = (): void => {
    timer ??= setTimeout(flush, writeAfterMs).unref();
  };
  const isFresh = (at: number, ageMax: number): boolean => {
    const age = clock() - at;
    return age >= 0 && age < ageMax;
  };
  return {
    get uuid() {
      return uuid();
    },
    time(server) {
      const found = memory().times.get(server);
      return found !== undefined && isFresh(found.at, timeAgeMsMax)
        ? found.milliseconds
        : undefined;
    },
    geoAnswer(question) {
      const found = memory().answers.get(question);
      return found !== undefined && isFresh(found.at, answerAgeMsMax) ? found.answer : undefined;
    },
    noteTime(server, milliseconds) {
      const { times } = memory();
      const before = times.get(server);
      const isSame =
        before !== undefined &&
        isFresh(before.at, sameAgeMsMax) &&
        milliseconds < before.milliseconds * sameFactor &&
        before.milliseconds < milliseconds * sameFactor;
      if (isSame) return;
      times.set(server, { milliseconds, at: clock() });
      changed();
    },
    noteGeoAnswer(question, answer) {
      memory().answers.set(question, { answer, at: clock() });
      changed();
    },
    flush,
  };
}

function read(path: string): Remembered {
  const none = { uuid: undefined, times: new Map(), answers: new Map() };
  try {
    const bytes = readState(path);
    const state = bytes && readStateFields(bytes);
    const found = state && known(state.fields);
    if (found === undefined) return { ...none, isForeign: state?.isNewer === true };
    const { uuid, times, answers } = found;
    return {
      uuid,
      times: new Map(times.map(({ server, ...time }) => [server, time])),
      answers: new Map(answers.map(({ question, ...answer }) => [question, answer])),
      isForeign: state?.isNewer === true,
    };
  } catch {
    return { ...none, isForeign: true };
  }
}

function merged(there: Remembered, here: Remembered): Remembered {
  return {
    uuid: there.uuid ?? here.uuid,
    times: newest(there.times, here.times),
    answers: newest(there.answers, here.answers),
    isForeign: there.isForeign,
  };
}

/** Of each the newest, and not more than there is room for. */
function newest<Value extends { readonly at: number }>(
  ...maps: readonly ReadonlyMap<string, Value>[]
): Map<string, Value> {
  const all = maps.flatMap((map) => [...map]).sort(([, a], [, b]) => a.at - b.at);
  const sorted = [...new Map(all)].sort(([, a], [, b]) => b.at - a.at);
  return new Map(sorted.slice(0, entriesMax));
}

function write(state: string, { uuid, times, answers, isForeign }: Remembered): void {
  if (isForeign) return;
  const text = JSON.stringify({
    format: stateFormat,
    uuid,
    times: [...times].map(([server, time]) => ({ server, ...time })),
    answers: [...answers].map(([question, answer]) => ({ question, ...answer })),
  });
  try {
    makeStateDirectory(state);
    writeState(join(state, fileName), text, { replace: true });
  } catch (thrown) {
    if (!(thrown instanceof PinfsError)) throw thrown;
  }
}
