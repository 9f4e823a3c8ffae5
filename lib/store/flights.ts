import { asPinfsError, PinfsError } from '../format/errors.js';

/** Work that is done once for each key, however many wait for it, a bounded number at a time. */
export interface Flights {
  /**
   * Joins the flight of a key, or begins it. Rejects with INTERRUPTED when the signal aborts; the
   * flight itself ends early only when all who waited are gone in that way.
   */
  join(key: string, weight: number, work: Work, signal?: AbortSignal): Promise<void>;
  /** Begins a flight that nobody waits for, behind all others. @returns false if there are too many. */
  ahead(key: string, weight: number, work: Work): boolean;
  close(): Promise<void>;
}

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

export function openFlights(limits: FlightLimits): Flights {
  const flights = new Map<string, Flight>();
  // In order of arrival; those that nobody waits for stand in a queue of their own.
  const wanted = new Set<Flight>();
  const ahead = new Set<Flight>();
  const flying = new Set<Flight>();
  let weight = 0;
  let closed = false;

  function add(key: string, itsWeight: number, work: Work, isWanted: boolean): Flight {
    let land: Flight['land'] = () => undefined;
    const promise = new Promise<void>((resolve, reject) => {
      land = (error) => {
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    promise.catch(() => undefined);
    const flight: Flight = {
      key,
      weight: itsWeight,
      work,
      controller: new AbortController(),
      promise,
      land,
      waiters: 0,
    };
    flights.set(key, flight);
    (isWanted ? wanted : ahead).add(flight);
    return flight;
  }

  function pump(): void {
    for (;;) {
      const next = first(wanted) ?? first(ahead);
      if (next === undefined || flying.size >= limits.atOnce) return;
      if (flying.size > 0 && weight + next.weight > limits.weight) return;
      wanted.delete(next);
      ahead.delete(next);
      void fly(next);
    }
  }

  async function fly(flight: Flight): Promise<void> {
    flying.add(flight);
    weight += flight.weight;
    let error: PinfsError | undefined;
    try {
      await flight.work(flight.controller.signal);
    } catch (thrown) {
      error = asPinfsError(thrown);
    }
    flying.delete(flight);
    weight -= flight.weight;
    forget(flight, error);
    pump();
  }

  function forget(flight: Flight, error: PinfsError | undefined): void {
    wanted.delete(flight);
    ahead.delete(flight);
    // One that was abandoned may have been followed by another of the same key.
    if (flights.get(flight.key) === flight) flights.delete(flight.key);
    flight.land(error);
  }

  function leave(flight: Flight): void {
    flight.waiters--;
    if (flight.waiters === 0) abandon(flight);
  }

  function abandon(flight: Flight): void {
    if (flights.get(flight.key) === flight) flights.delete(flight.key);
    flight.controller.abort();
    if (!flying.has(flight)) forget(flight, interrupted());
  }

  return {
    async join(key, itsWeight, work, signal) {
      if (closed || signal?.aborted === true) throw interrupted();
      const flight = flights.get(key) ?? add(key, itsWeight, work, true);
      if (ahead.delete(flight)) wanted.add(flight);
      flight.waiters++;
      pump();
      if (signal === undefined) return flight.promise;
      return waitUnlessAborted(flight, signal, () => leave(flight));
    },
    ahead(key, itsWeight, work) {
      if (closed || flights.has(key)) return !closed;
      if (ahead.size >= limits.ahead) return false;
      add(key, itsWeight, work, false);
      pump();
      return true;
    },
    async close() {
      closed = true;
      // Those that were abandoned before may still be on their way.
      const ending = [...flying].map((flight) => flight.promise);
      for (const flight of [...flights.values()]) abandon(flight);
      await Promise.allSettled(ending);
    },
  };
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
