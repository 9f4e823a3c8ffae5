import type { Pool } from 'undici';
import { PinfsError } from '../format/errors.js';
import { fromText, printable } from '../format/bytes.js';
import { exchange, type Exchange } from './exchange.js';
import type { Answer, Question, Timing } from './question.js';
import { escapePath } from './path.js';
import type { Source, SourceRequest, Traffic } from './source.js';
import { makePool } from './undici.js';

/** Times are milliseconds. */
export interface HttpOptions extends Partial<Timing> {
  readonly connections?: number;
  readonly connectTimeout?: number;
  /** Bounds a whole `get` with its repetitions, as a server may drip for days. */
  readonly totalTimeout?: number;
  /** Repetitions after a failure that may pass. */
  readonly retries?: number;
  /** The first pause is at most this long; it doubles up to `backoffMax`, and is drawn at random. */
  readonly backoff?: number;
  readonly backoffMax?: number;
  /** Follow at most 4 redirections. Otherwise one is an error. */
  readonly followRedirects?: boolean;
}

const defaults = {
  connections: 12,
  connectTimeout: 5_000,
  headersTimeout: 8_000,
  lowSpeedTime: 8_000,
  lowSpeedBytes: 8_000,
  totalTimeout: 20 * 60_000,
  retries: 2,
  backoff: 200,
  backoffMax: 2_000,
  followRedirects: false,
};

const maxRedirects = 4;
// A server that closes its idle connections may close several at once.
const maxStale = 2;
const userAgent = 'cvmfs pinfs/0.1.0';

/**
 * A repository on an HTTP server. Credentials in the URL are sent as `Authorization` to that server
 * only, and are never shown.
 * @throws PinfsError USAGE if the URL is not one of a repository.
 */
export function httpSource(text: string, options: HttpOptions = {}): Source {
  const client: Client = {
    settings: { ...defaults, ...options },
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
  readonly settings: typeof defaults;
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
  const { signal, range } = request;
  const { base } = client;
  const target = { origin: base.origin, path: `${base.path}/${escapePath(path)}` };
  if (range !== undefined && range.length > limit) {
    const excess = `${show(target)}: ${range.length} bytes are more than the ${limit} expected`;
    throw new PinfsError('OBJECT_TOO_LARGE', excess);
  }
  if (client.closed) throw closedError();
  const job = startJob(() => show(target), client.settings.totalTimeout, signal);
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
  let retries = 0;
  let stale = 0;
  for (;;) {
    const question = makeQuestion(client, target, limit, request);
    const answer = await job.run(() => exchange(poolFor(client, target.origin), question, traffic));
    if (answer.kind === 'body') return answer.bytes;
    if (answer.kind === 'redirect') {
      target = redirected(client, target, answer, redirects++);
      continue;
    }
    if (answer.error.code !== 'OBJECT_MISSING') traffic.failures++;
    if (answer.retry === 'stale' && stale++ < maxStale) continue;
    if (answer.retry === 'never' || retries >= settings.retries) throw answer.error;
    const longest = Math.min(settings.backoffMax, settings.backoff * 2 ** retries++);
    await job.pause(Math.random() * longest);
  }
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
  { fresh, range }: SourceRequest,
): Question {
  const headers: Record<string, string> = { 'User-Agent': userAgent };
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
  return { shown: () => show(target), path, headers, limit, range, timing: settings };
}

/** Where a redirection leads, if it is to be followed; `count`: how many were followed before. */
function redirected(
  { settings, pools }: Client,
  from: Target,
  { status, location }: Answer & { kind: 'redirect' },
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
  if (count >= maxRedirects) throw refuse(`${shown}, after ${maxRedirects} others`);
  const safe = url.protocol === 'https:' || from.origin.startsWith(`${url.protocol}//`);
  if (!safe) throw refuse(`${shown}, which is not as safe`);
  const known = pools.has(to.origin) || pools.size <= maxRedirects;
  if (!known) throw refuse(`${shown}, one more server after ${maxRedirects} others`);
  return to;
}

function closedError(): PinfsError {
  return new PinfsError('INTERRUPTED', 'the source was closed');
}

/** What one `get` waits for, and how it is stopped: by its signal, its time limit, or the source's end. */
interface Job {
  readonly stop: (error: PinfsError) => void;
  run(start: () => Exchange): Promise<Answer>;
  pause(milliseconds: number): Promise<void>;
  end(): void;
}

function startJob(shown: () => string, totalTimeout: number, signal: AbortSignal | undefined): Job {
  let current: Exchange | undefined;
  let wake: (() => void) | undefined;
  let stopped: PinfsError | undefined;
  const stop = (error: PinfsError): void => {
    stopped ??= error;
    current?.cancel(stopped);
    wake?.();
  };
  const interrupt = (): void => stop(new PinfsError('INTERRUPTED', `${shown()}: interrupted`));
  signal?.addEventListener('abort', interrupt);
  if (signal?.aborted === true) interrupt();
  const timer = setTimeout(() => {
    stop(new PinfsError('SOURCE_TIMEOUT', `${shown()}: not here after ${totalTimeout} ms`));
  }, totalTimeout);
  return {
    stop,
    async run(start) {
      if (stopped !== undefined) throw stopped;
      current = start();
      return await current.answer;
    },
    async pause(milliseconds) {
      let alarm: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        wake = resolve;
        alarm = setTimeout(resolve, milliseconds);
      });
      clearTimeout(alarm);
      if (stopped !== undefined) throw stopped;
    },
    end() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', interrupt);
    },
  };
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
