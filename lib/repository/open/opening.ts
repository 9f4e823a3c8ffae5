import { existsSync } from 'node:fs';
import { PinfsError } from '../../format/errors.js';
import { checkAddressSpace } from '../../machine/address-space.js';
import type { Blacklist } from '../../format/blacklist.js';
import { quoted } from '../../format/bytes.js';
import { planNetwork, type EnvironmentProxies, type NetworkData } from '../../source/network.js';
import { openSource } from '../../source/open.js';
import { defaultFqrn, isUrl, splitSourcePin } from '../../source/source-pin.js';
import type { HttpOptions } from '../../source/http/http.js';
import { defaultWaitLimits, type WaitLimits } from '../../source/wait.js';
import type { Source } from '../../source/source.js';
import { openStore } from '../../store/open.js';
import type { Store } from '../../store/store.js';
import { loadBlacklist } from '../../trust/files/blacklist.js';
import { loadKeys, type MasterKey } from '../../trust/files/keys.js';
import { openSeen, type Counts, type Seen } from '../../trust/memory/seen.js';
import { checkFqrn, directories, trustTime, type Environment } from './environment.js';
import { withAlternatives, type Alternatives } from '../../source/alternatives.js';
import type { OpenOptions } from './options.js';
import { openServerMemory } from './server-memory.js';
import { parsePin, type Pin } from './pin.js';
import { openEnding } from '../../source/ending.js';

/** Everything that is needed before the first question of trust: made once, kept as long as the repository is open. */
export interface Opening {
  readonly options: OpenOptions;
  readonly environment: Environment;
  readonly fqrn: string;
  readonly pin: Pin;
  readonly source: Source;
  readonly alternatives: Alternatives;
  /** Proxies that nobody named but the environment; undefined: none. */
  readonly fromEnvironment: EnvironmentProxies | undefined;
  /** Where external files lie, without credentials; undefined: nobody said. */
  readonly externalLabel: string | undefined;
  readonly store: Store;
  /** Aborts when it is closed: nothing that is waited for outlives that. */
  readonly signal: AbortSignal;
  /** How long a read waits. */
  readonly waitLimits: WaitLimits;
  readonly seen: Seen;
  /** Tells once that what was verified is not remembered. */
  readonly notRemembered: (error: PinfsError) => void;
  readonly keys: readonly MasterKey[];
  readonly blacklist: Blacklist;
  readonly trustAt: Date | undefined;
  /** One for all snapshots of a mount. */
  readonly headRequests: HeadRequests;
  close(): Promise<void>;
}

/** Notes that somebody got an error, or that the head could not be had. */
export function noteError({ headRequests }: Pick<Opening, 'headRequests'>): void {
  headRequests.errors += 1;
  headRequests.failedAt = Date.now();
}

/** The questions for the head, in milliseconds since 1970, and what went wrong. */
export interface HeadRequests {
  /** When the first snapshot was opened. */
  readonly since: number;
  /** When the source was asked last. */
  at: number;
  /** When it is asked next, as whoever follows the head says; undefined: nobody does. */
  again: number | undefined;
  /** What went wrong for whoever uses it: answers of a driver in this thread, and questions for the head. */
  errors: number;
  /** When it last did; undefined: never. */
  failedAt: number | undefined;
}

const newlyAsked = { again: undefined, errors: 0, failedAt: undefined };

const defaultCacheLimitBytes = 4 * 2 ** 30;

/**
 * @throws PinfsError USAGE, PIN_MALFORMED, KEY_MALFORMED, SOURCE_UNREACHABLE, CACHE_UNUSABLE, STATE_UNUSABLE,
 *   MEMORY_LIMITED.
 */
export async function prepare(options: OpenOptions, environment: Environment): Promise<Opening> {
  checkAddressSpace('command');
  const { source: place, pin: pinText } = splitSourcePin(options.source, existsSync);
  const pin = parsePin(pinText);
  const fqrn = checkFqrn(options.fqrn ?? defaultFqrn(place));
  const trustAt = trustTime(options.trustAt);
  const keys = loadKeys({ given: options.keys ?? [], fqrn, env: environment.variables });
  const blacklist = loadBlacklist(options.blacklist, undefined, options.site?.blacklist);
  const places = directories(options, environment);
  const waitLimits = waitLimitsOf(options, environment);
  const plan = planNetwork(place, networkData(options, place, fqrn), environment.variables);
  const alternatives: Alternatives = new Map();
  const common = { ...commonHttp(options, environment, places.state), ...waitLimits };
  const source = withAlternatives(openOrGone(place, { ...plan.options, ...common }), alternatives);
  const { variables } = environment;
  const external = openExternal(options, networkData(options, place, fqrn), variables, common);
  const closeSources = async (): Promise<void> => {
    await source.close();
    await external?.close();
  };
  const notRemembered = tellOnce(environment);
  let store: Store | undefined;
  let seen: Seen;
  try {
    store = openStore({
      directory: places.cache,
      // The store itself takes never more than half of what is free and its own.
      limit: options.cacheLimit ?? defaultCacheLimitBytes,
      ...{ source, waitLimits, lower: options.cacheLower },
      offline: options.offline ?? false,
      clock: () => environment.now().getTime(),
      ...(external === undefined ? {} : { external }),
    });
    seen = openSeen(places.state, countsFor(options, keys, trustAt), notRemembered);
  } catch (error) {
    await store?.close();
    await closeSources();
    throw error;
  }
  const opened = store;
  const ending = openEnding();
  return {
    options,
    environment,
    fqrn,
    pin,
    source,
    alternatives,
    fromEnvironment: plan.fromEnvironment,
    externalLabel: external?.label,
    store,
    signal: ending.signal,
    waitLimits,
    seen,
    notRemembered,
    keys,
    blacklist,
    trustAt,
    headRequests: { ...newlyAsked, since: Date.now(), at: environment.now().getTime() },
    async close() {
      ending.abort();
      await opened.close();
      await closeSources();
    },
  };
}

/** What every HTTP source of an opening has, but for how long it is waited for. */
function commonHttp(
  { followRedirects = false }: OpenOptions,
  { now, network, report }: Environment,
  state: string,
): HttpOptions {
  return {
    memory: openServerMemory(state, () => now().getTime()),
    ...network,
    followRedirects,
    ...(report === undefined ? {} : { tell: report }),
  };
}

/** What lies outside has servers of its own, which have no Geo API. undefined: nobody said where it lies. */
function openExternal(
  { external, site }: OpenOptions,
  network: NetworkData,
  variables: Environment['variables'],
  http: HttpOptions,
): Source | undefined {
  if (external === undefined) return undefined;
  const own = site?.external;
  const common: NetworkData = { ...network, mirrors: [], maxServers: undefined, geo: false };
  // Proxies of its own are a list of its own.
  const isOwnList = own?.proxies !== undefined;
  const data = { ...common, ...(isOwnList ? { fallbackProxies: undefined } : {}), ...own };
  return openOrGone(external, { ...planNetwork(external, data, variables).options, ...http });
}

/** @throws PinfsError USAGE */
function networkData(options: OpenOptions, place: string, fqrn: string): NetworkData {
  const { mirrors = [], proxy } = options;
  if (mirrors.length > 0 && !isUrl(place)) {
    throw new PinfsError('USAGE', '--mirror is for a source on a server', {
      advice: 'Give the URL of one of the servers as SOURCE.',
    });
  }
  const wrong = mirrors.find((mirror) => !isUrl(mirror));
  if (wrong !== undefined) {
    throw new PinfsError('USAGE', `--mirror ${quoted(wrong)} is no URL`, {
      advice: 'Give a URL that begins with http:// or https://.',
    });
  }
  const [org = ''] = fqrn.split('.');
  const named = (mirror: string): string =>
    mirror.replaceAll('@fqrn@', fqrn).replaceAll('@org@', org);
  return { ...options.site?.network, mirrors: mirrors.map(named), proxies: proxy };
}

function waitLimitsOf(options: OpenOptions, { network }: Environment): WaitLimits {
  return {
    deadline: options.deadline ?? network?.deadline ?? defaultWaitLimits.deadline,
    minRate: options.minRate ?? network?.minRate ?? defaultWaitLimits.minRate,
  };
}

/**
 * What was believed here before counts only for who would believe it now: vouched for by a key that is
 * given, not merely as of another day, nor with a weak key, unless that is asked for again.
 */
function countsFor(
  { weakKey }: OpenOptions,
  keys: readonly MasterKey[],
  trustAt: Date | undefined,
): Counts {
  const given = new Set(keys.map(({ sha256 }) => sha256));
  return (verdict) =>
    verdict.key !== undefined &&
    given.has(verdict.key.sha256) &&
    (trustAt !== undefined || !verdict.trustAtGiven) &&
    (weakKey === true || !verdict.weakKeyAccepted);
}

/**
 * Keys, blacklist and what follows from them as they are on this machine now. Keys that can't be read any
 * more, as from a pipe, stay what they were. @throws PinfsError USAGE: the blacklist can't be read.
 */
export function withPresentTrust(opening: Opening): Opening {
  const { options, trustAt } = opening;
  const keys = presentKeys(opening);
  const { state } = directories(options, opening.environment);
  const counts = countsFor(options, keys, trustAt);
  const seen = openSeen(state, counts, opening.notRemembered);
  return {
    ...opening,
    keys,
    seen,
    blacklist: loadBlacklist(options.blacklist, undefined, options.site?.blacklist),
  };
}

/** A head comes with several facts: one warning is enough. */
function tellOnce({ report }: Environment): (error: PinfsError) => void {
  let isTold = false;
  return ({ code, message, advice }) => {
    if (!isTold)
      report?.(new PinfsError(code, `what was verified is not remembered: ${message}`, { advice }));
    isTold = true;
  };
}

function presentKeys({ options, environment, fqrn, keys }: Opening): readonly MasterKey[] {
  try {
    return loadKeys({ given: options.keys ?? [], fqrn, env: environment.variables });
  } catch {
    return keys;
  }
}

/**
 * A directory that is not there is like a server that does not answer: what was verified here before still
 * mounts, as after a boot at which a disk is lacking.
 */
function openOrGone(place: string, http: HttpOptions): Source {
  try {
    return openSource(place, http);
  } catch (error) {
    if (!(error instanceof PinfsError) || error.code !== 'SOURCE_UNREACHABLE') throw error;
    // It may come back while we wait for it.
    return {
      label: place,
      traffic: { requests: 0, bytes: 0, failures: 0 },
      get: async (...question) => await openSource(place, http).get(...question),
      close: () => Promise.resolve(),
    };
  }
}

export function offlineError(opening: Opening): PinfsError {
  return new PinfsError(
    'SOURCE_OFFLINE',
    `${opening.source.label} was not asked: --offline was given`,
  );
}
