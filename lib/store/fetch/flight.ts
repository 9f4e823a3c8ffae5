import type { PinfsError } from '../../format/errors.js';
import type { Demand, Urgency } from '../../source/http/demand.js';
import type { Wait } from '../../source/wait.js';

export type Work = (leg: Leg) => Promise<void>;

/** What the work of a flight is given. */
export interface Leg {
  readonly signal: AbortSignal;
  readonly demand: Demand;
  /** Runs what needs the line; what nobody waits for leaves it to what somebody waits for. */
  readonly transfer: <T>(run: () => Promise<T>) => Promise<T>;
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

export interface Seat {
  readonly waiter: Waiter;
  /** Bytes that he knows of. */
  seen: number;
}

export interface Flight {
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

/** One that has not begun. */
export function newFlight(key: string, weight: number, work: Work): Flight {
  let land: Flight['land'] = () => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    land = (error) => {
      if (error === undefined) resolve();
      else reject(error);
    };
  });
  // Whether anyone waits for it or not.
  promise.catch(() => undefined);
  return {
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
}

export function isWanted({ seats }: Flight): boolean {
  return seats.size > 0;
}

export function takesTheLine(flight: Flight): boolean {
  return isWanted(flight) && flight.transfers;
}

export function urge(flight: Flight, urgency: Urgency): void {
  if (flight.urgency === urgency) return;
  flight.urgency = urgency;
  for (const changed of flight.watchers) changed();
}

/** What its source is told of those who wait. @param came told how many more bytes are here */
export function demandOf(flight: Flight, came: (bytes: number) => void): Demand {
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
      flight.trouble = undefined;
      came(bytes);
    },
    failed: (error) => {
      flight.trouble = error;
      for (const { waiter } of seats) waiter.heard?.(0, error);
    },
  };
}
