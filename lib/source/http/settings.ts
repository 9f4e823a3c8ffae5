import type { PinfsError } from '../../format/errors.js';
import type { HopGroups } from '../failover/proxies.js';
import type { ServerMemory } from '../order/server-order.js';
import type { NameOptions } from '../names/names.js';
import { defaultWaitLimits, type WaitLimits } from '../wait.js';
import type { Timing } from './request.js';

/** What decides in which order servers are asked, beyond the list of them. */
export interface OrderOptions {
  /** Ask the Geo API of one of them. */
  readonly geo?: boolean;
  /** How long its answer counts (ms), as long as this machine stays where it is. */
  readonly geoAge?: number;
  /** What stands for who asks in the question to the Geo API; not given: the proxy's host, or this machine's own word. */
  readonly proxyTemplate?: string;
  /** No more servers are used than these, the preferred ones. */
  readonly maxServers?: number;
  /** From this group on, the groups of a server are fallback proxies, which the Geo API orders as well. */
  readonly fallbackFrom?: number;
  readonly memory?: ServerMemory;
  /** How names of hosts are looked up. */
  readonly names?: NameOptions;
  /** Of the addresses of one proxy's name so many are used. */
  readonly addressesPerProxy?: number;
}

/** Times are milliseconds. */
export interface HttpOptions extends Partial<Timing>, Partial<WaitLimits>, OrderOptions {
  readonly connections?: number;
  readonly connectTimeout?: number;
  /** The same for what goes through a proxy, where it is not as for the others. */
  readonly proxied?: Partial<Timing> & { readonly connectTimeout?: number };
  /**
   * Repetitions after a failure that may pass. Not given: as many as there is time for, where somebody
   * waits for so long; else a few.
   */
  readonly retries?: number;
  /** How many those few are. */
  readonly retriesOfCommand?: number;
  /** The first pause is at most this long; it doubles up to `backoffMax`, and half of it is drawn at random. */
  readonly backoff?: number;
  readonly backoffMax?: number;
  /** Follow at most 4 redirections. Otherwise one is an error. */
  readonly followRedirects?: boolean;
  /** URLs of the same repository on other servers, in the order in which they are preferred. */
  readonly mirrors?: readonly string[];
  /** How a server is reached; not given: directly. */
  readonly hopsFor?: (url: URL) => HopGroups;
  /** Each object through one proxy of a group, always the same. */
  readonly shard?: boolean;
  /** After so long what failed is preferred again; 0: not before it has answered. */
  readonly hopResetAfter?: number;
  readonly mirrorResetAfter?: number;
  /** Told of each change of mirror or proxy, and of who gave what is damaged. */
  readonly tell?: (event: PinfsError) => void;
}

type Defaulted = Required<
  Omit<
    HttpOptions,
    'retries' | 'longest' | 'mirrors' | 'hopsFor' | 'tell' | 'proxied' | keyof OrderOptions
  >
>;

export interface HttpSettings extends Defaulted, OrderOptions {
  readonly retries: number | undefined;
  readonly proxied: Timing & { readonly connectTimeout: number };
}

// With pauses of 0.2 s that double they take 3 s at most.
const retriesMaxOfCommand = 4;
// More than the store fetches at once: what it asks for is sent, and waits in no queue that nobody sees.
const connectionsMax = 32;
/** How long a server may take to accept a connection, where nobody says otherwise. */
export const connectTimeoutMs = 5_000;
// Milliseconds: within a deadline there is time for another try, which then may take longer.
const firstTryMsMin = 2_000;
const firstTryMsMax = 10_000;
// A proxy is near: as for the reference, it has less time than a server (ms).
const firstProxiedTryMsMax = 5_000;
// As in the configuration that comes with the reference (ms).
const hopResetAfterMs = 300_000;
const mirrorResetAfterMs = 1_800_000;

export function settingsOf(options: HttpOptions): HttpSettings {
  const { deadline, minRate } = { ...defaultWaitLimits, ...options };
  const firstTry = Math.max(firstTryMsMin, Math.min(firstTryMsMax, deadline / 3));
  const common = {
    connectTimeout: Math.min(connectTimeoutMs, firstTry),
    headersTimeout: firstTry,
    lowSpeedTime: firstTry,
    lowSpeedBytes: (minRate * firstTry) / 1000,
  };
  const settings = {
    ...common,
    connections: connectionsMax,
    retries: undefined,
    retriesOfCommand: retriesMaxOfCommand,
    backoff: 200,
    backoffMax: 5_000,
    followRedirects: false,
    shard: false,
    hopResetAfter: hopResetAfterMs,
    mirrorResetAfter: mirrorResetAfterMs,
    ...options,
    deadline,
    minRate,
  };
  const proxiedTry = Math.min(settings.headersTimeout, firstProxiedTryMsMax);
  const { connectTimeout, lowSpeedTime, lowSpeedBytes } = settings;
  return {
    ...settings,
    proxied: {
      connectTimeout,
      headersTimeout: proxiedTry,
      lowSpeedTime,
      lowSpeedBytes,
      ...options.proxied,
    },
  };
}

/** A server that is slow to answer is given more time at each try, but no more than all of it. */
export function timingOf(settings: HttpSettings, isProxied: boolean, tries: number): Timing {
  const { headersTimeout, lowSpeedTime, lowSpeedBytes } = isProxied ? settings.proxied : settings;
  const factor = Math.max(1, Math.min(2 ** tries, settings.deadline / lowSpeedTime));
  return {
    headersTimeout: headersTimeout * factor,
    lowSpeedTime: lowSpeedTime * factor,
    lowSpeedBytes: lowSpeedBytes * factor,
  };
}

export function pauseBefore({ backoff, backoffMax }: HttpSettings, tries: number): number {
  const longest = Math.min(backoffMax, backoff * 2 ** tries);
  return longest * (0.5 + Math.random() / 2);
}
