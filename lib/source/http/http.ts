import type { Pool } from 'undici';
import { version } from '../../machine/version.js';
import { PinfsError } from '../../format/errors.js';
import { fromText, printable } from '../../format/bytes.js';
import { exchange } from './exchange.js';
import { startJob, type Job } from './job.js';
import { defaultWaitLimits, type WaitLimits } from '../wait.js';
import type { SourceAnswer, Question, Retry, Timing } from './request.js';
import { escapePath } from '../path.js';
import type { Source, SourceRequest, Traffic } from '../source.js';
import { makePool } from './undici.js';

/** Times are milliseconds. */
export interface HttpOptions extends Partial<Timing>, Partial<WaitLimits> {
  readonly connections?: number;
  readonly connectTimeout?: number;
  /**
   * Repetitions after a failure that may pass. Not given: as many as there is time for, where somebody
   * waits for so long; else a few.
   */
  readonly retries?: number;
  /** The first pause is at most this long; it doubles up to `backoffMax`, and half of it is drawn at random. */
  readonly backoff?: number;
  readonly backoffMax?: number;
  /** Follow at most 4 redirections. Otherwise one is an error. */
  readonly followRedirects?: boolean;
}

type Settings = Required<Omit<HttpOptions, 'retries' | 'longest'>> & {
  readonly retries: number | undefined;
};

// More than the store fetches at once: what it asks for is sent, and waits in no queue that nobody sees.
const connectionsMax = 32;
// With pauses of 0.2 s that double they take 3 s at most.
const retriesMaxOfCommand = 4;
/** How long a server may take to accept a connection, where nobody says otherwise. */
export const connectTimeoutMs = 5_000;
// Milliseconds: within a deadline there is time for another try, which then may take longer.
const firstTryMsMin = 2_000;
const firstTryMsMax = 10_000;
// Whoever waits with no limits of his own waits no longer (ms).
const ownDeadlineMsMax = 30_000;
// A server that announces more is asked again no later (ms).
const retryAfterMsMax = 10_000;

function settingsOf(options: HttpOptions): Settings {
  const { deadline, minRate } = { ...defaultWaitLimits, ...options };
  const firstTry = Math.max(firstTryMsMin, Math.min(firstTryMsMax, deadline / 3));
  return {
    connections: connectionsMax,
    connectTimeout: Math.min(connectTimeoutMs, firstTry),
    headersTimeout: firstTry,
    lowSpeedTime: firstTry,
    lowSpeedBytes: (minRate * firstTry) / 1000,
    retries: undefined,
    backoff: 200,
    backoffMax: 5_000,
    followRedirects: false,
    ...options,
    deadline,
    minRate,
  };
}

const redirectsMax = 4;
// A server that closes its idle connections may close several at once.
const staleConnectionsMax = 2;
const userAgent = `cvmfs pinfs/${version}`;

/**
 * A repository on an HTTP server. Credentials in the URL are sent as `Authorization` to that server
 * only, and are never shown.
 * @throws PinfsError USAGE if the URL is not one of a repository.
 */
export function httpSource(text: string, options: HttpOptions = {}): Source {
  const client: Client = {
    settings: settingsOf(options),
    base: parseBase(text),
    traffic: { requests: 0, bytes: 0, failures: 0 },
    pools: new Map(),
    running: new Set(),
    closed: false,
  };
  return {
    label: show(client.base),
    traffic: client.traffic,
    get: (path, limit, request = {}) => get(client, path, limit, request),
    async close() {
      client.closed = true;
      for (const stop of client.running) stop(closedError());
      const pools = [...client.pools.values()];
      client.pools.clear();
      await Promise.all(pools.map((pool) => pool.destroy()));
    },
  };
}

interface Client {
  readonly settings: Settings;
  readonly base: Base;
  readonly traffic: Traffic;
  /** By origin: the server's own, and those that redirections led to. */
  readonly pools: Map<string, Pool>;
  /** Stops each `get` that is under way. */
  readonly running: Set<(error: PinfsError) => void>;
  closed: boolean;
}

async function get(
  client: Client,
  path: string,
  limit: number,
  request: SourceRequest,
): Promise<Buffer> {
  const { signal, range, demand } = request;
  const { base } = client;
  const target = { origin: base.origin, path: `${base.path}/${escapePath(path)}` };
  if (range !== undefined && range.length > limit) {
    const excess = `${show(target)}: ${range.length} bytes are more than the ${limit} expected`;
    throw new PinfsError('OBJECT_TOO_LARGE', excess);
  }
  if (client.closed) throw closedError();
  const shown = (): string => show(target);
  const { deadline, minRate } = client.settings;
  const limits = { deadline: Math.min(deadline, ownDeadlineMsMax), minRate };
  const job = startJob({ shown, limits, limit, signal, demand });
  client.running.add(job.stop);
  try {
    return await ask(client, target, limit, request, job);
  } finally {
    client.running.delete(job.stop);
    job.end();
  }
}

/** Repeats what may pass, with pauses, and follows redirections where that is allowed. */
async function ask(
  client: Client,
  start: Target,
  limit: number,
  request: SourceRequest,
  job: Job,
): Promise<Buffer> {
  const { settings, traffic } = client;
  let target = start;
  let redirects = 0;
  let failures = 0;
  let tries = 0;
  let stale = 0;
  for (;;) {
    await job.turn();
    const came = (received: number): void => {
      // A server that gets on is no longer one that is away.
      if (job.came(received)) tries = 0;
    };
    const question = makeQuestion(client, target, limit, request, tries);
    request.sink?.begin();
    const answer = await job.run(() =>
      exchange(poolFor(client, target.origin), question, traffic, came),
    );
    if (answer.kind === 'body') return answer.bytes;
    if (answer.kind === 'redirect') {
      target = redirected(client, target, answer, redirects++);
      continue;
    }
    const { error, retry, after = 0 } = answer;
    if (error.code !== 'OBJECT_MISSING') traffic.failures++;
    if (retry === 'stale' && stale++ < staleConnectionsMax) continue;
    if (!mayAskAgain(settings, request, retry, failures++)) throw error;
    request.demand?.failed(error);
    await job.pause(Math.max(Math.min(after, retryAfterMsMax), pauseBefore(settings, tries++)));
    // Whoever waited may have gone.
    if (request.demand !== undefined && request.demand.urgency !== 'wanted') throw error;
  }
}

/** What nobody waits for is not asked again. */
function mayAskAgain(
  { retries }: Settings,
  { demand }: SourceRequest,
  retry: Retry,
  failures: number,
): boolean {
  if (retry === 'never' || (retry === 'mounted' && demand?.persistent !== true)) return false;
  if (demand !== undefined && demand.urgency !== 'wanted') return false;
  const most = retries ?? (demand?.persistent === true ? Infinity : retriesMaxOfCommand);
  return failures < most;
}

function pauseBefore({ backoff, backoffMax }: Settings, tries: number): number {
  const longest = Math.min(backoffMax, backoff * 2 ** tries);
  return longest * (0.5 + Math.random() / 2);
}

function poolFor(client: Client, origin: string): Pool {
  let pool = client.pools.get(origin);
  if (pool === undefined) {
    const { connections, connectTimeout } = client.settings;
    pool = makePool(origin, { connections, connectTimeout });
    client.pools.set(origin, pool);
  }
  return pool;
}

function makeQuestion(
  { base, settings }: Client,
  target: Target,
  limit: number,
  { fresh, range, sink }: SourceRequest,
  tries: number,
): Question {
  const headers: Record<string, string> = {
    'User-Agent': userAgent,
    'Accept-Encoding': 'identity',
  };
  if (base.authorization !== undefined && target.origin === base.origin) {
    headers['Authorization'] = base.authorization;
  }
  if (fresh === true) {
    headers['Cache-Control'] = 'no-cache';
    headers['Pragma'] = 'no-cache';
  }
  if (range !== undefined && range.length > 0) {
    headers['Range'] = `bytes=${range.offset}-${range.offset + range.length - 1}`;
  }
  const { path } = target;
  const timing = longerEachTime(settings, tries);
  return { shown: () => show(target), path, headers, limit, range, sink, timing };
}

/** A server that is slow to answer is given more time at each try, but no more than all of it. */
function longerEachTime(settings: Settings, tries: number): Timing {
  const { headersTimeout, lowSpeedTime, lowSpeedBytes, deadline } = settings;
  const factor = Math.max(1, Math.min(2 ** tries, deadline / lowSpeedTime));
  return {
    headersTimeout: headersTimeout * factor,
    lowSpeedTime: lowSpeedTime * factor,
    lowSpeedBytes: lowSpeedBytes * factor,
  };
}

/** Where a redirection leads, if it is to be followed; `count`: how many were followed before. */
function redirected(
  { settings, pools }: Client,
  from: Target,
  { status, location }: SourceAnswer & { kind: 'redirect' },
  count: number,
): Target {
  const refuse = (why: string): PinfsError =>
    new PinfsError('SOURCE_REDIRECT', `${show(from)}: HTTP ${status} to ${why}`, {
      advice: settings.followRedirects
        ? 'Give the address that it leads to.'
        : 'Give the address that it leads to, or allow --follow-redirects.',
    });
  const base = from.origin + from.path;
  if (location === '' || !URL.canParse(location, base)) throw refuse('an address that is not one');
  const url = new URL(location, base);
  const to = { origin: url.origin, path: url.pathname + url.search };
  const shown = show(to);
  if (!settings.followRedirects) throw refuse(`${shown}, and redirections are not followed`);
  if (count >= redirectsMax) throw refuse(`${shown}, after ${redirectsMax} others`);
  const safe = url.protocol === 'https:' || from.origin.startsWith(`${url.protocol}//`);
  if (!safe) throw refuse(`${shown}, which is not as safe`);
  const known = pools.has(to.origin) || pools.size <= redirectsMax;
  if (!known) throw refuse(`${shown}, one more server after ${redirectsMax} others`);
  return to;
}

function closedError(): PinfsError {
  return new PinfsError('INTERRUPTED', 'the source was closed');
}

interface Base {
  readonly origin: string;
  /** Without a slash at its end. */
  readonly path: string;
  readonly authorization: string | undefined;
}

function parseBase(text: string): Base {
  const shown = printable(fromText(text.replace(/\/\/[^/]*@/, '//')));
  const refuse = (why: string): PinfsError => new PinfsError('USAGE', `${shown} ${why}`);
  if (!URL.canParse(text)) throw refuse('is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refuse('is not a URL of HTTP');
  }
  if (url.search !== '' || url.hash !== '') throw refuse('has a part behind ? or #');
  let authorization: string | undefined;
  if (url.username !== '' || url.password !== '') {
    const pair = `${unescapePart(url.username)}:${unescapePart(url.password)}`;
    authorization = `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
  }
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, ''), authorization };
}

function unescapePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What is asked for, and of whom. */
interface Target {
  readonly origin: string;
  /** Path and query as sent. */
  readonly path: string;
}

/** A target for people: no query (it may hold a token), no control characters, bounded. */
function show({ origin, path }: Target): string {
  const text = printable(fromText(origin + path.replace(/\?.*$/s, '')));
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}
