import { promiseBytes, seeBytes, type Wait } from '../../../source/wait.js';
import { openRecentFailures, type RecentFailures } from '../../../store/recent-failures.js';
import { flightKey, type Want } from '../../../store/want.js';
import type { ErrorText } from '../messages.js';
import type { Frame } from '../protocol/protocol.js';

/** Requests that wait for an object: by unique, and by the object that is lacking. */
export interface HeldRequest {
  readonly unique: number;
  readonly frame: Frame;
  /** On the clock of the caller, in milliseconds. */
  readonly arrived: number;
  readonly wait: Wait;
  /** Identity of the operation over its runs. */
  readonly run: object;
  /** A fetch that was asked for by a READ goes on even if nobody waits: the kernel asks again. */
  readonly keepsFetch: boolean;
  key: string;
  tries: number;
}

export interface HeldRequests {
  readonly byUnique: Map<number, HeldRequest>;
  readonly byKey: Map<string, HeldRequest[]>;
  /** Why the last try for an object failed that is made again. */
  readonly troubles: Map<string, Trouble>;
  /** Objects that failed a moment ago: the kernel asks again, in pieces, for what failed. */
  readonly failed: RecentFailures<AnsweredFailure>;
}

/** What a request that can't wait any longer is answered. */
export interface Trouble {
  readonly errno: number;
  readonly error: ErrorText;
}

interface AnsweredFailure {
  readonly errno: number;
  /** What may pass is remembered for the kernel's repetitions alone, which follow at once. */
  readonly passing: boolean;
  readonly since: number;
}

/** How long a failure is remembered, in milliseconds. */
const failureMs = 1000;

/**
 * One that may pass is remembered so long behind each request that it answers: those who wait in the kernel
 * for the same page repeat one after the other. A reader who comes later is a new one, with a wait of his own.
 */
export const repetitionMs = 200;

export function nothingHeld(): HeldRequests {
  const failed = openRecentFailures<AnsweredFailure>();
  return { byUnique: new Map(), byKey: new Map(), troubles: new Map(), failed };
}

/** Holds a request for an object; true if it is the first to wait for it. */
export function hold(held: HeldRequests, request: HeldRequest, want: Want): boolean {
  request.key = flightKey(want);
  promiseBytes(request.wait, want.size.bytes);
  held.byUnique.set(request.unique, request);
  const waiting = held.byKey.get(request.key);
  if (waiting === undefined) held.byKey.set(request.key, [request]);
  else waiting.push(request);
  return waiting === undefined;
}

/** Takes out all that wait for an object, in the order of their arrival. */
export function releaseHeld(held: HeldRequests, key: string): readonly HeldRequest[] {
  const waiting = held.byKey.get(key) ?? [];
  held.byKey.delete(key);
  held.troubles.delete(key);
  for (const request of waiting) held.byUnique.delete(request.unique);
  return waiting;
}

/** Takes out one; `last` says that nobody else waits for its object. */
export function releaseOne(
  held: HeldRequests,
  unique: number,
): { readonly request: HeldRequest; readonly last: boolean } | undefined {
  const request = held.byUnique.get(unique);
  if (request === undefined) return undefined;
  held.byUnique.delete(unique);
  const rest = (held.byKey.get(request.key) ?? []).filter((other) => other !== request);
  if (rest.length > 0) held.byKey.set(request.key, rest);
  else {
    held.byKey.delete(request.key);
    held.troubles.delete(request.key);
  }
  return { request, last: rest.length === 0 };
}

/** Bytes have come of what some wait for, or a try for it failed. */
export function hear(
  held: HeldRequests,
  key: string,
  { bytes, trouble }: { readonly bytes: number; readonly trouble: Trouble | undefined },
  now: number,
): void {
  const waiting = held.byKey.get(key);
  if (waiting === undefined) return;
  if (trouble === undefined) held.troubles.delete(key);
  else held.troubles.set(key, trouble);
  for (const { wait } of waiting) seeBytes(wait, bytes, now);
}

/** Requests whose wait is over. */
export function overdue(held: HeldRequests, now: number): readonly HeldRequest[] {
  return [...held.byUnique.values()].filter((request) => request.wait.end <= now);
}

/** When the next wait is over, or Infinity. */
export function nextDeadline(held: HeldRequests): number {
  let next = Infinity;
  for (const request of held.byUnique.values()) next = Math.min(next, request.wait.end);
  return next;
}

export function rememberFailure(
  held: HeldRequests,
  key: string,
  { errno, passing }: { readonly errno: number; readonly passing: boolean },
  now: number,
): void {
  held.failed.remember(
    key,
    { errno, passing, since: now },
    passing ? repetitionMs : failureMs,
    now,
  );
}

/** The errno of an object that failed a moment ago. */
export function recentFailure(held: HeldRequests, key: string, now: number): number | undefined {
  const failure = held.failed.recall(key, now);
  if (failure?.passing === true) {
    const left = failure.since + failureMs - now;
    held.failed.remember(key, failure, Math.min(repetitionMs, left), now);
  }
  return failure?.errno;
}
