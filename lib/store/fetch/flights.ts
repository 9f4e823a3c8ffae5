import { asPinfsError, PinfsError } from '../../format/errors.js';
import type { Demand, Urgency } from '../../source/http/demand.js';
import { seeBytes, type Wait } from '../../source/wait.js';
import { openLineRate } from './rate.js';

export type Work = (leg: Leg) => Promise<void>;

/** What the work of a flight is given. */
export interface Leg {
  readonly signal: AbortSignal;
  readonly demand: Demand;
  /** Runs what needs the line; what nobody waits for leaves it to what somebody waits for. */
  readonly transfer: <T>(run: () => Promise<T>) => Promise<T>;
}

export interface FlightLimits {
  readonly atOnce: number;
  /** So many of these places are for what weighs no more than `lightWeight`, which is there in a moment. */
  readonly lightPlaces: number;
  readonly lightWeight: number;
  /** Sum of the weights (bytes of disk) of what flies at once; one that is heavier flies alone. */
  readonly weight: number;
  /** How many that nobody waits for stand in their queue, and fly at once. */
  readonly ahead: number;
  readonly aheadAtOnce: number;
  /**
   * What nobody waits for flies beside what somebody waits for as long as it weighs no more than this, nor
   * than comes within `aheadBesideMs`: so long it may hold him up.
   */
  readonly aheadBesideBytes: number;
  readonly aheadBesideMs: number;
}

/** Somebody who waits for a flight. */
export interface Waiter {
  readonly wait: Wait;
  /** What it ends with when it is over. */
  readonly late: () => PinfsError;
  readonly signal: AbortSignal | undefined;
  /** Failures that may pass are asked again as long as he waits; else a few times. */
  readonly persistent: boolean;
  /** Told from time to time how many bytes have come, and of a try that failed. */
  readonly heard: ((bytes: number, trouble: PinfsError | undefined) => void) | undefined;
}

interface Seat {
  readonly waiter: Waiter;
  /** Bytes that he knows of. */
  seen: number;
}

interface Flight {
  readonly key: string;
  readonly weight: number;
  readonly work: Work;
  readonly controller: AbortController;
  readonly promise: Promise<void>;
  readonly land: (error: PinfsError | undefined) => void;
  readonly seats: Set<Seat>;
  readonly watchers: Set<() => void>;
  flying: boolean;
  /** It was given up, and is about to end. */
  leaving: boolean;
  /** It needs the line. */
  transfers: boolean;
  urgency: Urgency;
  received: number;
  /** Why the last try failed, if another one follows. */
  trouble: PinfsError | undefined;
}

// Waiters are told no more often (ms).
const tellIntervalMs = 200;

/** Work that is done once for each key, however many wait for it, a bounded number at a time. */
export class Flights {
  readonly #limits: FlightLimits;
  readonly #flights = new Map<string, Flight>();
  // In order of arrival; those that nobody waits for stand in a queue of their own.
  readonly #wanted = new Set<Flight>();
  #ahead = new Set<Flight>();
  readonly #flying = new Set<Flight>();
  readonly #clock: () => number;
  /** Bytes of what somebody waited for. */
  #received = 0;
  readonly #rate = openLineRate();
  #telling: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(limits: FlightLimits, clock: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /**
   * Joins the flight of a key, or begins it. Rejects with INTERRUPTED when the signal aborts: the flight
   * ends early when all who waited are gone in that way. When the wait is over it rejects with the trouble
   * of the last try, or as the waiter says: the flight goes on as one that nobody waits for.
   */
  async join(key: string, weight: number, work: Work, waiter: Waiter): Promise<void> {
    if (this.#closed || waiter.signal?.aborted === true) throw interrupted();
    const flight = this.#flights.get(key) ?? this.#add(key, weight, work);
    this.#ahead.delete(flight);
    if (!flight.flying) this.#wanted.add(flight);
    const seat = { waiter, seen: flight.flying ? flight.received : this.#received };
    flight.seats.add(seat);
    this.#settle();
    this.#telling ??= setInterval(() => this.#tellAll(), tellIntervalMs).unref();
    await this.#seated(flight, seat);
  }

  /** Begins a flight that nobody waits for, behind all others. @returns false if there are too many. */
  ahead(key: string, weight: number, work: Work): boolean {
    if (this.#closed || this.#flights.has(key)) return !this.#closed;
    if (this.#ahead.size >= this.#limits.ahead) return false;
    this.#ahead.add(this.#add(key, weight, work));
    this.#settle();
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#telling);
    // Those that were abandoned before may still be on their way.
    const ending = [...this.#flying].map((flight) => flight.promise);
    for (const flight of [...this.#flights.values()]) this.#abandon(flight);
    await Promise.allSettled(ending);
  }

  #add(key: string, weight: number, work: Work): Flight {
    let land: Flight['land'] = () => undefined;
    const promise = new Promise<void>((resolve, reject) => {
      land = (error) => {
        if (error === undefined) resolve();
        else reject(error);
      };
    });
    // Whether anyone waits for it or not.
    promise.catch(() => undefined);
    const flight: Flight = {
      key,
      weight,
      work,
      controller: new AbortController(),
      promise,
      land,
      seats: new Set(),
      watchers: new Set(),
      flying: false,
      leaving: false,
      transfers: true,
      urgency: 'ahead',
      received: 0,
      trouble: undefined,
    };
    this.#flights.set(key, flight);
    return flight;
  }

  async #seated(flight: Flight, seat: Seat): Promise<void> {
    const { wait, signal } = seat.waiter;
    let timer: NodeJS.Timeout | undefined;
    let interrupt = (): void => undefined;
    const left = new Promise<never>((_, reject) => {
      interrupt = (): void => {
        flight.seats.delete(seat);
        if (flight.seats.size === 0) this.#abandon(flight);
        reject(interrupted());
      };
      const look = (): void => {
        this.#tell(flight, seat);
        const rest = wait.end - this.#clock();
        if (rest > 0) timer = setTimeout(look, Math.min(rest, longestTimer));
        else reject(this.#late(flight, seat));
      };
      look();
    });
    signal?.addEventListener('abort', interrupt, { once: true });
    if (signal?.aborted === true) interrupt();
    try {
      await Promise.race([flight.promise, left]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', interrupt);
      flight.seats.delete(seat);
    }
  }

  /** His wait is over. What flies goes on: whoever asks next finds what it brought. */
  #late(flight: Flight, seat: Seat): PinfsError {
    flight.seats.delete(seat);
    if (flight.seats.size === 0 && !flight.flying) this.#abandon(flight);
    else this.#settle();
    return flight.trouble ?? seat.waiter.late();
  }

  /** Begins what may begin, and says what goes before what. */
  #settle(): void {
    for (const flight of this.#wanted) {
      if (this.#count(isWanted) >= this.#limits.atOnce) break;
      if (this.#mayFly(flight)) this.#begin(flight);
    }
    const isBusy = this.#wanted.size > 0 || this.#count(takesTheLine) > 0;
    const { aheadBesideBytes, aheadBesideMs } = this.#limits;
    const besideMax = isBusy
      ? Math.min(aheadBesideBytes, this.#rate.bytesPerMs * aheadBesideMs)
      : Infinity;
    let beside = 0;
    for (const flight of this.#flying) {
      if (isWanted(flight)) {
        this.#urge(flight, 'wanted');
        continue;
      }
      beside += flight.weight;
      this.#urge(flight, beside > besideMax ? 'held' : 'ahead');
    }
    for (const flight of this.#ahead) {
      const { aheadAtOnce, ahead } = this.#limits;
      if (this.#count((one) => !isWanted(one) && one.transfers) >= aheadAtOnce) break;
      // What came and is being put away needs no place on the line.
      if (this.#flying.size >= ahead) break;
      if (!this.#fits(flight)) break;
      beside += flight.weight;
      if (beside > besideMax) break;
      this.#begin(flight);
    }
  }

  #count(which: (flight: Flight) => boolean): number {
    let count = 0;
    for (const flight of this.#flying) if (!flight.leaving && which(flight)) count++;
    return count;
  }

  /** Whether there is a place for what somebody waits for; what is fetched ahead gives its own away. */
  #mayFly(flight: Flight): boolean {
    const { atOnce, lightPlaces, lightWeight } = this.#limits;
    const isHeavy = (one: Flight): boolean => one.weight > lightWeight;
    const heavy = this.#count((one) => isWanted(one) && isHeavy(one));
    if (isHeavy(flight) && heavy >= atOnce - lightPlaces) return false;
    if (!this.#fits(flight, isWanted)) return false;
    for (const other of [...this.#flying].reverse()) {
      if (this.#fits(flight)) break;
      if (!isWanted(other) && !other.leaving) this.#putBack(other);
    }
    return true;
  }

  #fits({ weight }: Flight, beside: (flight: Flight) => boolean = () => true): boolean {
    let sum = 0;
    for (const one of this.#flying) if (!one.leaving && beside(one)) sum += one.weight;
    return sum === 0 || sum + weight <= this.#limits.weight;
  }

  /** Ends a flight that nobody waits for, to be begun again when there is room. */
  #putBack(flight: Flight): void {
    this.#abandon(flight);
    const { key, weight, work } = flight;
    if (!this.#closed && this.#ahead.size < this.#limits.ahead)
      this.#ahead = new Set([this.#add(key, weight, work), ...this.#ahead]);
  }

  #urge(flight: Flight, urgency: Urgency): void {
    if (flight.urgency === urgency) return;
    flight.urgency = urgency;
    for (const changed of flight.watchers) changed();
  }

  #begin(flight: Flight): void {
    this.#wanted.delete(flight);
    this.#ahead.delete(flight);
    for (const seat of flight.seats) {
      this.#tell(flight, seat);
      seat.seen = 0;
    }
    flight.flying = true;
    flight.urgency = isWanted(flight) ? 'wanted' : 'ahead';
    this.#flying.add(flight);
    void this.#fly(flight);
  }

  async #fly(flight: Flight): Promise<void> {
    let error: PinfsError | undefined;
    try {
      await flight.work(this.#leg(flight));
    } catch (thrown) {
      error = asPinfsError(thrown);
    }
    this.#flying.delete(flight);
    for (const seat of flight.seats) this.#tell(flight, seat);
    this.#forget(flight, error);
    this.#settle();
  }

  #leg(flight: Flight): Leg {
    return {
      signal: flight.controller.signal,
      demand: this.#demandFor(flight),
      transfer: async (run) => {
        if (!flight.transfers) {
          flight.transfers = true;
          this.#settle();
        }
        try {
          return await run();
        } finally {
          flight.transfers = false;
          this.#settle();
        }
      },
    };
  }

  #demandFor(flight: Flight): Demand {
    const { watchers, seats } = flight;
    return {
      get urgency() {
        return flight.urgency;
      },
      get persistent() {
        for (const { waiter } of seats) if (waiter.persistent) return true;
        return false;
      },
      watch: (changed) => {
        watchers.add(changed);
        return () => void watchers.delete(changed);
      },
      came: (bytes) => {
        flight.received += bytes;
        this.#rate.came(bytes, this.#clock());
        flight.trouble = undefined;
        if (seats.size > 0) this.#received += bytes;
      },
      failed: (error) => {
        flight.trouble = error;
        for (const { waiter } of seats) waiter.heard?.(0, error);
      },
    };
  }

  #tellAll(): void {
    let waiters = 0;
    for (const flight of this.#flights.values()) {
      for (const seat of flight.seats) this.#tell(flight, seat);
      waiters += flight.seats.size;
    }
    if (waiters > 0) return;
    clearInterval(this.#telling);
    this.#telling = undefined;
  }

  /** What came since he was told last. To who waits in the queue, progress is that of those before him. */
  #tell(flight: Flight, seat: Seat): void {
    const received = flight.flying ? flight.received : this.#received;
    const bytes = received - seat.seen;
    if (bytes <= 0) return;
    seat.seen = received;
    seeBytes(seat.waiter.wait, bytes, this.#clock());
    seat.waiter.heard?.(bytes, undefined);
  }

  #abandon(flight: Flight): void {
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    flight.leaving = true;
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

// setTimeout takes no more.
const longestTimer = 2 ** 31 - 1;

function isWanted({ seats }: Flight): boolean {
  return seats.size > 0;
}

function takesTheLine(flight: Flight): boolean {
  return isWanted(flight) && flight.transfers;
}

function interrupted(): PinfsError {
  return new PinfsError('INTERRUPTED', 'interrupted while waiting for an object');
}
