import { wantKey, type Want } from '../../store/want.js';
import type { Frame } from './protocol.js';

/** Requests that wait for an object: by unique, and by the object that is lacking. */
export interface HeldRequest {
  readonly unique: number;
  readonly frame: Frame;
  /** Arrival and deadline on the clock of the caller, in milliseconds. */
  readonly arrived: number;
  readonly deadline: number;
  /** Identity of the operation over its runs. */
  readonly run: object;
  /** A fetch that was asked for by a READ goes on even if nobody waits: the kernel asks again. */
  readonly keepsFetch: boolean;
  key: string;
  tries: number;
}

export interface Held {
  readonly byUnique: Map<number, HeldRequest>;
  readonly byKey: Map<string, HeldRequest[]>;
  /** Objects that failed a moment ago: the kernel asks again, in pieces, for what failed. */
  readonly failed: Map<string, { readonly errno: number; readonly until: number }>;
}

/** How long a failure is remembered, in milliseconds. */
export const failureMemory = 1000;

export function nothingHeld(): Held {
  return { byUnique: new Map(), byKey: new Map(), failed: new Map() };
}

/** Holds a request for an object; true if it is the first to wait for it. */
export function hold(held: Held, request: HeldRequest, want: Want): boolean {
  request.key = wantKey(want);
  held.byUnique.set(request.unique, request);
  const waiting = held.byKey.get(request.key);
  if (waiting === undefined) held.byKey.set(request.key, [request]);
  else waiting.push(request);
  return waiting === undefined;
}

/** Takes out all that wait for an object, in the order of their arrival. */
export function release(held: Held, key: string): readonly HeldRequest[] {
  const waiting = held.byKey.get(key) ?? [];
  held.byKey.delete(key);
  for (const request of waiting) held.byUnique.delete(request.unique);
  return waiting;
}

/** Takes out one; `last` says that nobody else waits for its object. */
export function releaseOne(
  held: Held,
  unique: number,
): { readonly request: HeldRequest; readonly last: boolean } | undefined {
  const request = held.byUnique.get(unique);
  if (request === undefined) return undefined;
  held.byUnique.delete(unique);
  const rest = (held.byKey.get(request.key) ?? []).filter((other) => other !== request);
  if (rest.length > 0) held.byKey.set(request.key, rest);
  else held.byKey.delete(request.key);
  return { request, last: rest.length === 0 };
}

/** Requests whose deadline has passed. */
export function overdue(held: Held, now: number): readonly HeldRequest[] {
  return [...held.byUnique.values()].filter((request) => request.deadline <= now);
}

/** The next deadline, or Infinity. */
export function nextDeadline(held: Held): number {
  let next = Infinity;
  for (const request of held.byUnique.values()) next = Math.min(next, request.deadline);
  return next;
}

export function rememberFailure(held: Held, key: string, errno: number, now: number): void {
  for (const [other, failure] of held.failed) if (failure.until <= now) held.failed.delete(other);
  held.failed.set(key, { errno, until: now + failureMemory });
}

/** The errno of an object that failed a moment ago. */
export function recentFailure(held: Held, key: string, now: number): number | undefined {
  const failure = held.failed.get(key);
  return failure !== undefined && failure.until > now ? failure.errno : undefined;
}
