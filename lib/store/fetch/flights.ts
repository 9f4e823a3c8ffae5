import { asPinfsError, PinfsError } from '../../format/errors.js';
import { seeBytes, timerMsMax } from '../../source/wait.js';
import { openUnderWay } from '../under-way.js';
import {
  demandOf,
  isWanted,
  newFlight,
  takesTheLine,
  urge,
  type Flight,
  type Leg,
  type Seat,
  type Waiter,
  type Work,
} from './flight.js';
import { countOf, fitsBeside, hasPlace, type FlightLimits } from './places.js';
import { openLineRate } from './rate.js';

// Waiters are told no more often (ms).
const tellIntervalMs = 200;

/** What else is on the line, and nobody waits for. */
export interface Beside {
  /** So many requests. */
  asked(): number;
  allow(places: number, bytes: number): void;
}

/** Work that is done once for each key, however many wait for it, a bounded number at a time. */
export class Flights {
  readonly #limits: FlightLimits;
  readonly #flights = openUnderWay<Flight>();
  // In order of arrival; those that nobody waits for stand in a queue of their own.
  readonly #wanted = new Set<Flight>();
  #ahead = new Set<Flight>();
  readonly #flying = new Set<Flight>();
  readonly #clock: () => number;
  readonly #beside: Beside | undefined;
  /** Bytes of what somebody waited for. */
  #received = 0;
  readonly #rate = openLineRate();
  #telling: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(
    limits: FlightLimits,
    clock: () => number = () => performance.now(),
    beside?: Beside,
  ) {
    this.#limits = limits;
    this.#clock = clock;
    this.#beside = beside;
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

  /** Whether it is under way, or stands in a queue. */
  has(key: string): boolean {
    return this.#flights.get(key) !== undefined;
  }

  /** So many bytes came beside these, of what nobody waits for. */
  came(bytes: number): void {
    this.#rate.came(bytes, this.#clock());
  }

  /** Whether anybody waits for it. */
  isWanted(key: string): boolean {
    return (this.#flights.get(key)?.seats.size ?? 0) > 0;
  }

  /** Begins a flight that nobody waits for, behind all others. @returns false if there are too many. */
  ahead(key: string, weight: number, work: Work): boolean {
    if (this.#closed || this.#flights.get(key) !== undefined) return !this.#closed;
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
    for (const flight of this.#flights.all()) this.#abandon(flight);
    await Promise.allSettled(ending);
  }

  #add(key: string, weight: number, work: Work): Flight {
    const flight = newFlight(key, weight, work);
    this.#flights.begin(key, flight);
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
        if (rest > 0) timer = setTimeout(look, Math.min(rest, timerMsMax));
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
      if (countOf(this.#flying, isWanted) >= this.#limits.atOnce) break;
      const putBack = (other: Flight): void => this.#putBack(other);
      if (hasPlace(flight, this.#flying, this.#limits, putBack)) this.#begin(flight);
    }
    const isBusy = this.#wanted.size > 0 || countOf(this.#flying, takesTheLine) > 0;
    const { aheadBesideBytes, aheadBesideMs } = this.#limits;
    const besideMax = isBusy
      ? Math.min(aheadBesideBytes, this.#rate.bytesPerMs * aheadBesideMs)
      : Infinity;
    let beside = 0;
    for (const flight of this.#flying) {
      if (isWanted(flight)) {
        urge(flight, 'wanted');
        continue;
      }
      beside += flight.weight;
      urge(flight, beside > besideMax ? 'held' : 'ahead');
    }
    const { aheadAtOnce, ahead } = this.#limits;
    const transferring = (): number =>
      countOf(this.#flying, (one) => !isWanted(one) && one.transfers);
    for (const flight of this.#ahead) {
      if (transferring() + (this.#beside?.asked() ?? 0) >= aheadAtOnce) break;
      // What came and is being put away needs no place on the line.
      if (this.#flying.size >= ahead) break;
      if (!fitsBeside(flight, this.#flying, this.#limits)) break;
      beside += flight.weight;
      if (beside > besideMax) break;
      this.#begin(flight);
    }
    this.#beside?.allow(aheadAtOnce - transferring(), Math.max(0, besideMax - beside));
  }

  /** Ends a flight that nobody waits for, to be begun again when there is room. */
  #putBack(flight: Flight): void {
    this.#abandon(flight);
    const { key, weight, work } = flight;
    if (!this.#closed && this.#ahead.size < this.#limits.ahead)
      this.#ahead = new Set([this.#add(key, weight, work), ...this.#ahead]);
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
      demand: demandOf(flight, (bytes) => {
        this.#rate.came(bytes, this.#clock());
        if (isWanted(flight)) this.#received += bytes;
      }),
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

  #tellAll(): void {
    let waiters = 0;
    for (const flight of this.#flights.all()) {
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
    this.#flights.end(flight.key, flight);
    flight.leaving = true;
    flight.controller.abort();
    if (!this.#flying.has(flight)) this.#forget(flight, interrupted());
  }

  #forget(flight: Flight, error: PinfsError | undefined): void {
    this.#wanted.delete(flight);
    this.#ahead.delete(flight);
    this.#flights.end(flight.key, flight);
    flight.land(error);
  }
}

function interrupted(): PinfsError {
  return new PinfsError('INTERRUPTED', 'interrupted while waiting for an object');
}
