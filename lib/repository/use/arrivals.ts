import { setImmediate as turn } from 'node:timers/promises';
import { smallObjectBytesMax } from '../../eviction/amounts.js';
import type { Store } from '../../store/store.js';
import { wantKey, type Want } from '../../store/want.js';
import type { Repository } from '../repository.js';
import type { Places } from './places.js';

/**
 * Small objects that are wanted one after the other, and taken as they come: they are fetched ahead, many at once, and
 * nobody waits for each, which would cost more than all the rest. What does not come by itself is asked for as usual.
 */
export interface Arrivals<T> {
  /** Whether it is of use for an object. */
  takes(want: Want): boolean;
  /** Takes on something that needs an object; waits for others where there are too many. */
  add(item: T, want: Want): Promise<void> | undefined;
  /** Waits until all have come, or were asked for. */
  end(): Promise<void>;
  /** Hears of nothing more. */
  close(): void;
}

export interface ArrivalListener<T> {
  /**
   * The object of an item has come, or (`isNew` false) had been recorded before, and was not looked at yet.
   * @returns false: it isn't here all the same.
   */
  readonly came: (item: T, isNew: boolean) => boolean;
  /** It did not come by itself: has it fetched, and waits for it. */
  readonly lacks: (item: T) => Promise<void>;
  /** Whether nothing more shall be asked for. */
  readonly isOver: () => boolean;
}

interface Ready<T> {
  readonly item: T;
  readonly isNew: boolean;
}

interface Pending<T> {
  readonly items: T[];
  readonly bytes: number;
  /** How many had come when it was taken on. */
  readonly after: number;
}

// Nearly as many as the store takes into its queue; and bytes, of which a small cache allows fewer.
const pendingMax = 960;
const pendingBytesMax = 32 * 1024 * 1024;
const shareOfLimitMax = 1 / 16;
// So many are handed to the store at once; so many that came are taken in one turn of the event loop.
const askedAtOnce = 64;
const takenAtOnce = 32;
// When nothing was heard for so long it is looked for; then whoever needs it asks for it (ms).
const lookMs = 20;
const silenceMsMax = 1000;

/** @param places where what did not come is asked for. */
export function openArrivals<T>(
  { store, opening }: Pick<Repository, 'store' | 'opening'>,
  places: Places,
  { came, lacks, isOver }: ArrivalListener<T>,
): Arrivals<T> {
  const awaited = openAwaited<T>(store);
  const isOfUse = opening.options.offline !== true;

  /** Takes what came until there is so little left. */
  async function settle(isEnough: () => boolean): Promise<void> {
    while (!isEnough()) {
      if (isOver()) awaited.clear();
      else if (awaited.ready > 0) {
        await takeReady();
        await turn();
      } else if (awaited.isFull() && awaited.isPassedOver()) await askForOldest();
      else {
        awaited.ask();
        await awaited.hearing();
        const silence = awaited.silence();
        if (awaited.ready > 0 || silence < lookMs) continue;
        awaited.look();
        if (silence <= silenceMsMax) continue;
        while (awaited.ready === 0 && awaited.pending > 0 && !isOver()) await askForOldest();
      }
    }
  }

  async function takeReady(): Promise<void> {
    for (const { item, isNew } of awaited.takeReady())
      if (!came(item, isNew)) await places.begin(() => lacks(item));
  }

  async function askForOldest(): Promise<void> {
    for (const item of awaited.takeOldest()) await places.begin(() => lacks(item));
  }

  return {
    takes: ({ size }) => isOfUse && size.kind === 'exact' && size.bytes <= smallObjectBytesMax,
    add(item, want) {
      awaited.add(item, want);
      const isEnough = (): boolean => awaited.ready < takenAtOnce && !awaited.isFull();
      return isEnough() ? undefined : settle(isEnough);
    },
    end: () => settle(() => awaited.pending === 0 && awaited.ready === 0),
    close: awaited.close,
  };
}

/** What is awaited, and what of it came and was not taken. */
function openAwaited<T>(store: Store) {
  const pending = new Map<string, Pending<T>>();
  const bytesMax = Math.min(pendingBytesMax, store.statistics.limit * shareOfLimitMax);
  let [toAsk, ready]: [Want[], Ready<T>[]] = [[], []];
  let bytes = 0;
  const ear = hear(store, (key) => isHere(key, true));

  function isHere(key: string, isNew: boolean): void {
    for (const item of take(key)) ready.push({ item, isNew });
  }

  function take(key: string | undefined): readonly T[] {
    const known = key === undefined ? undefined : pending.get(key);
    if (key === undefined || known === undefined) return [];
    pending.delete(key);
    bytes -= known.bytes;
    return known.items;
  }

  function ask(): void {
    if (toAsk.length === 0) return;
    ear.begin();
    for (const want of store.fetchAhead(toAsk) ?? []) isHere(wantKey(want), false);
    toAsk = [];
  }

  return {
    get ready() {
      return ready.length;
    },
    get pending() {
      return pending.size;
    },
    isFull: () => pending.size >= pendingMax || bytes >= bytesMax,
    /** Whether so many came since the oldest was asked for that it failed, or was not taken on. */
    isPassedOver(): boolean {
      const [oldest] = pending.values();
      return oldest !== undefined && ear.count - oldest.after > 2 * pendingMax;
    },
    add(item: T, want: Want): void {
      const key = wantKey(want);
      const known = pending.get(key);
      if (known !== undefined) known.items.push(item);
      else {
        pending.set(key, { items: [item], bytes: want.size.bytes, after: ear.count });
        bytes += want.size.bytes;
        if (toAsk.push(want) >= askedAtOnce) ask();
      }
    },
    ask,
    hearing: () => ear.hearing(),
    silence: ear.silence,
    /** Finds what is here though nobody said so, as where it was copied from another cache. */
    look(): void {
      for (const key of store.keptOf?.([...pending.keys()]) ?? []) isHere(key, false);
    },
    takeReady: () => ready.splice(0, takenAtOnce),
    takeOldest: () => take(pending.keys().next().value),
    clear(): void {
      pending.clear();
      [bytes, ready, toAsk] = [0, [], []];
    },
    close: ear.close,
  };
}

/** Is told of what is fetched, beside whoever was told of it before. */
function hear(store: Store, came: (key: string) => void) {
  const before = store.fetched;
  let [count, heardAt] = [0, 0];
  let wake = (): void => undefined;
  store.fetched = (key, storedBytes) => {
    before?.(key, storedBytes);
    heardAt = performance.now();
    count += 1;
    came(key);
    wake();
  };
  return {
    /** How many came. */
    get count() {
      return count;
    },
    /** Something was asked for: before there was nothing to hear. */
    begin: () => void (heardAt = performance.now()),
    silence: () => performance.now() - heardAt,
    /** Waits until something comes, but not long. */
    async hearing(): Promise<void> {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, lookMs);
      });
      clearTimeout(timer);
      wake = () => undefined;
    },
    close: () => void (store.fetched = before),
  };
}
