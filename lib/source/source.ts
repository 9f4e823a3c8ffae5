import type { PinfsError } from '../format/errors.js';
import type { Demand } from './http/demand.js';
import type { Tried } from './http/request.js';
import type { ServerOrder } from './order/server-order.js';
import type { Sink } from './sink.js';

/**
 * Where the bytes of one repository come from. Seam: HTTP, a directory, a bad one in tests;
 * later mirrors, proxies and storage that is written to.
 */
export interface Source {
  /** The source as shown to people; credentials in a URL are left out. */
  readonly label: string;

  /**
   * Fetches the file `path` (relative, such as `data/ab/cdef…C` or `.cvmfspublished`) as it is stored.
   * Never keeps more than `limit` bytes, in memory where no sink is given, and reads no more, except that a server may answer
   * a request for a range with the whole file: then what lies before the range is read and dropped.
   * @throws PinfsError OBJECT_MISSING (it isn't there), OBJECT_TOO_LARGE, OBJECT_SIZE_MISMATCH (it
   *   ends before the range does), SOURCE_UNREACHABLE, SOURCE_TIMEOUT, SOURCE_STATUS,
   *   SOURCE_REDIRECT, SOURCE_ENCODING, INTERRUPTED (the signal, or the source was closed).
   */
  get(path: string, limit: number, request?: SourceRequest): Promise<Buffer>;

  /**
   * Asks for a small file by one request, which takes a fraction of what `get` does: no second try, nobody else is asked.
   * Where something is in the way of that, undefined: it has to be asked for with `get`. Not given: never.
   */
  readonly once?:
    ((path: string, limit: number, listener: OnceListener) => Once | undefined) | undefined;

  /**
   * Told what became of what it gave: `error` is what is wrong with the last of `served`; undefined: it is what was
   * asked for. Whoever gave what is damaged is counted by name, and asked after the others.
   * @returns how many other ways there are to ask for it again, with the same `served`.
   */
  readonly judged?:
    ((served: readonly Served[], error: PinfsError | undefined) => number) | undefined;

  /** Who would be asked for a path now, for people. Not given: there is only one, `label`. */
  readonly wayOf?: ((path: string) => string) | undefined;

  /** Who gave something, for people: a server, and what it was asked through. Not given: there is only one, `label`. */
  readonly nameOf?: ((served: Served) => string) | undefined;

  /**
   * Finds the order in which its servers are asked, once, and tells what decided it; what is asked for before waits
   * for that. Not given: there is no choice.
   */
  readonly arranged?: (() => Promise<ServerOrder>) | undefined;

  /** The same repository on each of its servers alone, where there are several, in their order; closed with this one. */
  readonly mirrors?: readonly Source[] | undefined;

  /** The same by each way alone: each server through each proxy, or directly; closed with this one. */
  readonly ways?: readonly Source[] | undefined;

  readonly traffic: Traffic;
  close(): Promise<void>;
}

/** One request that is under way. */
export interface Once {
  cancel(): void;
  /** Whether what comes is left on the line, for others to go before. */
  hold(held: boolean): void;
}

/** Told of one request, perhaps before it is known to whom it was sent. */
export interface OnceListener {
  /** So many bytes more are here. */
  came(bytes: number): void;
  /** Once, also when it was cancelled. */
  ended(outcome: OnceOutcome): void;
}

/** What came by whom; or what `get` is to go on from, if anything. */
export type OnceOutcome =
  | { readonly bytes: Buffer; readonly served: Served; readonly tried?: undefined }
  | { readonly bytes?: undefined; readonly tried?: Tried };

/** Who gave something: a mirror and what it was asked through, by their numbers. */
export interface Served {
  readonly mirror: number;
  readonly hop: number;
  /** Caches on the way were asked for a fresh copy. */
  readonly fresh: boolean;
}

export interface SourceRequest {
  readonly signal?: AbortSignal;
  /** Of those who wait; without it, as for somebody who waits a while. */
  readonly demand?: Demand;
  /** Ask caches on the way for a fresh copy: the last one was damaged (docs/format.md, 9.6). */
  readonly fresh?: boolean;
  /**
   * Kept by whoever can tell what is damaged: each answer is added. What stands there when it is asked for again was
   * damaged: the same is asked once for a fresh copy, and after that another way is taken.
   */
  readonly served?: Served[];
  /** The first request for it was sent before (`once`), and failed. */
  readonly tried?: Tried | undefined;
  /** Takes the bytes; the result has what it was not given, which may be all of them. */
  readonly sink?: Sink;
  /** A byte range, for chunks of external files. The result (with what the sink took) has exactly `length` bytes. */
  readonly range?: { readonly offset: number; readonly length: number };
}

/** What went over the wire so far. */
export interface Traffic {
  requests: number;
  bytes: number;
  failures: number;
  /** Changes of mirror or proxy. */
  changes?: number;
  /** What is asked first now, where there is a choice or a proxy. */
  way?: string;
  /** Answers that were damaged, by who gave them. */
  damaged?: Record<string, number>;
  /** The same by who was asked, where that is somebody. */
  ways?: WayTraffic[];
}

/** What was asked of one server through one proxy, or directly. */
export interface WayTraffic {
  /** Without credentials. */
  readonly mirror: string;
  /** `DIRECT`: none. */
  readonly proxy: string;
  requests: number;
  /** Of answers, without their headers. */
  bytes: number;
  /** By code; what is not there, and what was damaged, among them. */
  readonly errors: Record<string, number>;
  /** Answers by the time to their first byte, in the classes of `firstByteMsBounds`. */
  readonly firstBytes: number[];
  /** All those times together (ms). */
  firstByteMs: number;
}
