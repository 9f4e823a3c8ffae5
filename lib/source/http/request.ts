import type { PinfsError } from '../../format/errors.js';
import type { Fault, Way } from '../failover/failover.js';
import type { Sink } from '../sink.js';

/** One request, and what of its answer is wanted. */
export interface Question {
  /** For messages: the URL without credentials. Called only when something is wrong. */
  readonly shown: () => string;
  readonly origin: string;
  /** Path and query as sent. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Most bytes of body that are read. */
  readonly limit: number;
  readonly range: { readonly offset: number; readonly length: number } | undefined;
  /** Takes the body, where there is one. */
  readonly sink: Sink | undefined;
  readonly timing: Timing;
  /** Milliseconds until it is sent, where undici knows no bound: for the tunnel through a proxy. */
  readonly sentWithin: number | undefined;
}

/** Milliseconds and bytes that bound one request. */
export interface Timing {
  /** From the request's being sent to the answer's headers. */
  readonly headersTimeout: number;
  /** In each such span at least `lowSpeedBytes` of body have to arrive. */
  readonly lowSpeedTime: number;
  readonly lowSpeedBytes: number;
}

export type SourceAnswer =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | {
      readonly kind: 'failed';
      readonly error: PinfsError;
      readonly retry: Retry;
      /** Whose it is; undefined: nobody else can do better. */
      readonly fault: Fault | undefined;
      /** Milliseconds after which the server wants to be asked again (Retry-After). */
      readonly after?: number;
    };

/**
 * `stale`: a connection closed before any answer, as happens to a kept-alive one: repeat at once.
 * `mounted`: likely a mistake at the first contact, and an outage for whoever waits in a mount.
 */
export type Retry = 'never' | 'mounted' | 'later' | 'stale';

export type FailedAnswer = Extract<SourceAnswer, { kind: 'failed' }>;

/** A request that was sent, and failed: who asks for the same goes on from there. */
export interface Tried {
  readonly way: Way;
  /** When it was sent (ms, of `performance.now`). */
  readonly asked: number;
  readonly answer: FailedAnswer;
}
