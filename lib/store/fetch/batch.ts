import { asPinfsError, PinfsError } from '../../format/errors.js';
import { objectPath } from '../../format/hash.js';
import type { Tried } from '../../source/http/request.js';
import type { Once, OnceOutcome, Served, Source } from '../../source/source.js';
import type { PreparedBytes } from '../cache/commit.js';
import { storedLimit } from '../inflate.js';
import type { StoreSpent } from '../spent.js';
import type { Want } from '../want.js';
import type { Leg } from './flight.js';

/** How far the fetching of an object has come that has to be ended with all care (download.ts). */
export type Begun =
  /** These bytes came, and could not be kept. */
  | { readonly stored: Buffer; readonly served: Served; readonly tried?: undefined }
  /** Nothing came. */
  | { readonly stored?: undefined; readonly tried?: Tried | undefined };

/** Whether it is on the shelf; undefined: it was not asked for. */
type Fetched = 'kept' | Begun | undefined;

export interface BatchOptions {
  readonly source: Pick<Source, 'once'>;
  /** Requests at once for what nobody waits for. */
  readonly atOnce: number;
  /** How many that nobody waits for may stand in their queue. */
  readonly queueMax: number;
  /** @throws PinfsError if the bytes aren't what is wanted. */
  readonly verify: (stored: Buffer, want: Want) => PreparedBytes;
  /** Puts objects on the shelf; one error or none for each. */
  readonly record: (objects: readonly PreparedBytes[]) => Promise<readonly (Error | undefined)[]>;
  readonly weightOf: (want: Want) => number;
  readonly spent: Pick<StoreSpent, 'network' | 'store'>;
  readonly listener: BatchListener;
}

export interface BatchListener {
  /** A request is sent. */
  readonly begun: (want: Want) => void;
  /** So many bytes came of something that nobody waits for. */
  readonly came: (bytes: number) => void;
  readonly kept: (key: string, want: Want, storedBytes: number, plainBytes: number) => void;
  /** Somebody else has to fetch it, for whom nobody waits. */
  readonly givenBack: (key: string, want: Want, begun: Begun | undefined) => void;
}

// So many are recorded together, or what came within this time (ms), unless somebody waits.
const recordedMax = 64;
const restMsMax = 25;

interface Waiting {
  readonly demand: Leg['demand'];
  readonly resolve: (result: Fetched) => void;
}

/** An object that is asked for, or came and is not recorded yet. */
interface Item {
  readonly key: string;
  readonly want: Want;
  readonly weight: number;
  readonly waiting: Set<Waiting>;
  once: Once | undefined;
  /** When it was asked for, or came (ms). */
  since: number;
  /** It was given up: what becomes of it is nobody's business. */
  isOver: boolean;
}

interface Arrived {
  readonly item: Item;
  readonly prepared: PreparedBytes;
  readonly stored: Buffer;
  readonly served: Served;
}

/**
 * Small objects, fetched with as little ado as can be: one request for each, and what came is verified and recorded
 * together with others. Where anything is not as it should be, an object is given back with what is known of it.
 */
export class Batch {
  readonly #options: BatchOptions;
  readonly #queue = new Map<string, Want>();
  /** All that was asked for and is not recorded yet; those whose request is under way are in `#asked` as well. */
  readonly #items = new Map<string, Item>();
  readonly #asked = new Set<Item>();
  #arrived: Arrived[] = [];
  #later: NodeJS.Timeout | undefined;
  #placesMax: number;
  #bytesMax = Infinity;
  #closed = false;

  constructor(options: BatchOptions) {
    this.#options = options;
    this.#placesMax = options.atOnce;
  }

  /** Fetches an object that nobody waits for, behind others. @returns false if there are too many. */
  ahead(key: string, want: Want): boolean {
    if (this.#closed || this.#queue.size >= this.#options.queueMax) return false;
    this.#queue.set(key, want);
    this.#sendNext();
    return true;
  }

  /** Whether it is asked for, or will be. */
  has(key: string): boolean {
    return this.#queue.has(key) || this.#items.has(key);
  }

  /** Fetches an object that somebody waits for, at once. @throws PinfsError INTERRUPTED by the signal. */
  async fetch(key: string, want: Want, leg: Pick<Leg, 'signal' | 'demand'>): Promise<Fetched> {
    if (this.#closed || leg.signal.aborted) throw interrupted();
    this.#queue.delete(key);
    const known = this.#items.get(key);
    const item = known ?? this.#begin(key, want);
    const result = this.#wait(item, leg);
    if (known === undefined) this.#send(item);
    item.once?.hold(false);
    if (!this.#asked.has(item)) this.#record();
    return await result;
  }

  /** Requests under way for what nobody waits for. */
  asked(): number {
    let count = 0;
    for (const { waiting } of this.#asked) if (waiting.size === 0) count++;
    return count;
  }

  /** What nobody waits for may be asked for by so many requests, of so much (bytes) at once; what is more is held back. */
  allow(places: number, bytes: number): void {
    const isOther = bytes !== this.#bytesMax;
    this.#placesMax = Math.min(places, this.#options.atOnce);
    this.#bytesMax = bytes;
    if (isOther) this.#holdBack();
    this.#sendNext();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#later);
    this.#queue.clear();
    for (const item of this.#items.values()) this.#giveUp(item);
  }

  #begin(key: string, want: Want): Item {
    const item: Item = {
      key,
      want,
      weight: this.#options.weightOf(want),
      waiting: new Set(),
      once: undefined,
      since: performance.now(),
      isOver: false,
    };
    this.#items.set(key, item);
    this.#asked.add(item);
    return item;
  }

  #send(item: Item): void {
    const { want } = item;
    const { source, listener } = this.#options;
    item.once = source.once?.(objectPath(want.object), storedLimit(want), {
      came: (bytes) => {
        if (item.waiting.size === 0) listener.came(bytes);
        for (const { demand } of item.waiting) demand.came(bytes);
      },
      ended: (outcome) => this.#answered(item, outcome),
    });
    if (item.once !== undefined) listener.begun(want);
    else if (this.#asked.delete(item)) this.#end(item, undefined);
  }

  #answered(item: Item, outcome: OnceOutcome): void {
    this.#asked.delete(item);
    // It holds the whole exchange, and an item may wait for its record until old objects are looked at.
    item.once = undefined;
    this.#spend(item, 'network');
    if (item.isOver) return;
    if (outcome.bytes === undefined) this.#end(item, outcome);
    else this.#arrive(item, outcome.bytes, outcome.served);
    this.#sendNext();
  }

  #arrive(item: Item, stored: Buffer, served: Served): void {
    try {
      const prepared = this.#options.verify(stored, item.want);
      item.since = performance.now();
      this.#arrived.push({ item, prepared, stored, served });
    } catch {
      // Why is found again by whoever goes on.
      this.#end(item, { stored, served });
      return;
    }
    // The records take together what comes in one turn of the event loop.
    if (item.waiting.size > 0 || this.#arrived.length >= recordedMax) this.#record();
    else this.#later ??= setTimeout(() => this.#record(), restMsMax);
  }

  #record(): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    const taken = this.#arrived;
    this.#arrived = [];
    if (taken.length === 0) return;
    const settle = (errors: readonly (Error | undefined)[]): void => {
      taken.forEach((one, index) => this.#recorded(one, errors[index]));
    };
    this.#options
      .record(taken.map(({ prepared }) => prepared))
      .then(settle, (thrown: unknown) => settle(taken.map(() => asPinfsError(thrown))));
  }

  #recorded({ item, prepared, stored, served }: Arrived, error: Error | undefined): void {
    this.#spend(item, 'store');
    if (item.isOver) return;
    if (error === undefined) {
      this.#options.listener.kept(item.key, item.want, stored.length, prepared.size);
      this.#end(item, 'kept');
    } else this.#end(item, { stored, served });
  }

  #spend(item: Item, layer: 'network' | 'store'): void {
    this.#options.spent[layer] += performance.now() - item.since;
  }

  #end(item: Item, result: Fetched): void {
    item.isOver = true;
    this.#items.delete(item.key);
    for (const { resolve } of item.waiting) resolve(result);
    if (item.waiting.size > 0 || result === 'kept') return;
    this.#options.listener.givenBack(item.key, item.want, result);
  }

  /** Begins what may begin of what nobody waits for. */
  #sendNext(): void {
    for (const [key, want] of this.#queue) {
      if (!this.#hasPlace(this.#options.weightOf(want))) return;
      this.#queue.delete(key);
      this.#send(this.#begin(key, want));
    }
  }

  #hasPlace(weight: number): boolean {
    let [places, bytes] = [0, weight];
    for (const item of this.#asked) {
      if (item.waiting.size > 0) continue;
      places++;
      bytes += item.weight;
    }
    return places < this.#placesMax && bytes <= this.#bytesMax;
  }

  /** What is more than may be on the line stays there until it may. */
  #holdBack(): void {
    let bytes = 0;
    for (const item of this.#asked) {
      if (item.waiting.size === 0) bytes += item.weight;
      item.once?.hold(item.waiting.size === 0 && bytes > this.#bytesMax);
    }
  }

  async #wait(item: Item, { signal, demand }: Pick<Leg, 'signal' | 'demand'>): Promise<Fetched> {
    let stop = (): void => undefined;
    const result = new Promise<Fetched>((resolve, reject) => {
      const waiting = { demand, resolve };
      item.waiting.add(waiting);
      stop = (): void => {
        item.waiting.delete(waiting);
        if (item.waiting.size === 0 && this.#asked.has(item)) this.#giveUp(item);
        reject(interrupted());
      };
    });
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await result;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  #giveUp(item: Item): void {
    item.isOver = true;
    this.#items.delete(item.key);
    item.once?.cancel();
  }
}

function interrupted(): PinfsError {
  return new PinfsError('INTERRUPTED', 'interrupted while waiting for an object');
}
