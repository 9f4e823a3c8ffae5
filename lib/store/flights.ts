import { asPinfsError, PinfsError } from '../format/errors.js';

export type Work = (signal: AbortSignal) => Promise<void>;

export interface FlightLimits {
  readonly atOnce: number;
  /** Sum of the weights (bytes in memory) of what flies at once; one that is heavier flies alone. */
  readonly weight: number;
  readonly ahead: number;
}

interface Flight {
  readonly key: string;
  readonly weight: number;
  readonly work: Work;
  readonly controller: AbortController;
  readonly promise: Promise<void>;
  readonly land: (error: PinfsError | undefined) => void;
  waiters: number;
}

/** Work that is done once for each key, however many wait for it, a bounded number at a time. */
export class Flights {
  readonly #limits: FlightLimits;
  readonly #flights = new Map<string, Flight>();
  // In order of arrival; those that nobody waits for stand in a queue of their own.
  readonly #wanted = new Set<Flight>();
  readonly #ahead = new Set<Flight>();
  readonly #flying = new Set<Flight>();
  #weight = 0;
  #closed = false;

  constructor(limits: FlightLimits) {
    this.#limits = limits;
  }

  /**
   * Joins the flight of a key, or begins it. Rejects with INTERRUPTED when the signal aborts; the
   * flight itself ends early only when all who waited are gone in that way.
   */
  async join(key: string, weight: number, work: Work, signal?: AbortSignal): Promise<void> {
    if (this.#closed || signal?.aborted === true) throw interrupted();
    const flight = this.#flights.get(key) ?? this.#add(key, weight, work, this.#wanted);
    if (this.#ahead.delete(flight)) this.#wanted.add(flight);
    flight.waiters++;
    this.#pump();
    if (signal === undefined) return flight.promise;
    return waitUnlessAborted(flight, signal, () => {
      flight.waiters--;
      if (flight.waiters === 0) this.#abandon(flight);
    });
  }

  /** Begins a flight that nobody waits for, behind all others. @returns false if there are too many. */
  ahead(key: string, weight: number, work: Work): boolean {
    if (this.#closed || this.#flights.has(key)) return !this.#closed;
    if (this.#ahead.size >= this.#limits.ahead) return false;
    this.#add(key, weight, work, this.#ahead);
    this.#pump();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    // Those that were abandoned before may still be on their way.
    const ending = [...this.#flying].map((flight) => flight.promise);
    for (const flight of [...this.#flights.values()]) this.#abandon(flight);
    await Promise.allSettled(ending);
  }

  #add(key: string, weight: number, work: Work, queue: Set<Flight>): Flight {
    let land: Flight['land'] = () => undefined;
    const promise = new Promise<void>((resolve, reject) => {
      land = (error) => {
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    // Whether anyone waits for it or not.
    promise.catch(() => undefined);
    const controller = new AbortController();
    const flight = { key, weight, work, controller, promise, land, waiters: 0 };
    this.#flights.set(key, flight);
    queue.add(flight);
    return flight;
  }

  #pump(): void {
    for (;;) {
      const next = first(this.#wanted) ?? first(this.#ahead);
      if (next === undefined || this.#flying.size >= this.#limits.atOnce) return;
      if (this.#flying.size > 0 && this.#weight + next.weight > this.#limits.weight) return;
      this.#wanted.delete(next);
      this.#ahead.delete(next);
      void this.#fly(next);
    }
  }

  async #fly(flight: Flight): Promise<void> {
    this.#flying.add(flight);
    this.#weight += flight.weight;
    let error: PinfsError | undefined;
    try {
      await flight.work(flight.controller.signal);
    } catch (thrown) {
      error = asPinfsError(thrown);
    }
    this.#flying.delete(flight);
    this.#weight -= flight.weight;
    this.#forget(flight, error);
    this.#pump();
  }

  #abandon(flight: Flight): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    flight.controller.abort();
    if (!this.#flying.has(flight)) this.#forget(flight, interrupted());
  }

  #forget(flight: Flight, error: PinfsError | undefined): void {
    this.#wanted.delete(flight);
    this.#ahead.delete(flight);
    // One that was abandoned may have been followed by another of the same key.
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    flight.land(error);
  }
}

function first<T>(set: ReadonlySet<T>): T | undefined {
  for (const value of set) return value;
  return undefined;
}

function interrupted(): PinfsError {
  return new PinfsError('INTERRUPTED', 'interrupted while waiting for an object');
}

async function waitUnlessAborted(
  flight: Flight,
  signal: AbortSignal,
  leave: () => void,
): Promise<void> {
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = (): void => {
      leave();
      reject(interrupted());
    };
  });
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  try {
    await Promise.race([flight.promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
