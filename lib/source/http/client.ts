import { version } from '../../machine/version.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { isSame, type Probe, type Way } from '../failover/failover.js';
import type { SourceRequest, Traffic } from '../source.js';
import { redirected, show, type Base, type HttpTarget } from './base.js';
import { exchange, type Exchange, type ExchangeListener } from './exchange.js';
import type { Job } from './job.js';
import { throughText, type Network } from './network.js';
import type { Question, SourceAnswer } from './request.js';
import { countFirstByte, countWayError } from './way-traffic.js';
import { timingOf, type HttpOptions, type HttpSettings } from './settings.js';

export interface Client {
  readonly settings: HttpSettings;
  readonly network: Network;
  readonly traffic: Traffic;
  /** Stops each `get` that is under way. */
  readonly running: Set<(error: PinfsError) => void>;
  /** What is being asked, by each way. */
  readonly asked: Set<Asked>;
  closed: boolean;
  /** Whether the order of its servers is known, as far as there is one. */
  isArranged: boolean;
  readonly tell: HttpOptions['tell'];
  readonly memory: HttpOptions['memory'];
}

interface Asked {
  readonly way: Way;
  /** When something came last, or it was sent. */
  heardAt: number;
  /** Undefined when it has ended: a table that a Set has grown out of keeps what it held alive for a while. */
  exchange: Exchange | undefined;
}

/**
 * Where one request waited in vain, the others that wait for the same way in silence, for half as long or more, do not
 * wait any longer.
 */
export function giveUpOn({ asked, settings, network }: Client, way: Way, error: PinfsError): void {
  if (error.code !== 'SOURCE_TIMEOUT') return;
  const isProxied = network.hop(way).kind === 'proxy';
  const silenceMs = timingOf(settings, isProxied, 0).headersTimeout / 2;
  for (const one of [...asked]) {
    if (isSame(one.way, way) && now() - one.heardAt >= silenceMs) one.exchange?.giveUp(error);
  }
}

/** The one mirror that is asked, and through what; undefined: any. */
export interface Only {
  readonly mirror: number;
  readonly hop?: number;
}

export function isOneOf(only: Only | undefined, way: Way): boolean {
  if (only === undefined) return true;
  return way.mirror === only.mirror && (only.hop === undefined || way.hop === only.hop);
}

/** Milliseconds of a clock that nobody sets. */
export const now = (): number => performance.now();

export function closedError(): PinfsError {
  return new PinfsError('INTERRUPTED', 'the source was closed');
}

export function targetOn(base: Base | undefined, path: string): HttpTarget {
  return { origin: base?.origin ?? '', path: `${base?.path ?? ''}/${path}` };
}

/** A mirror answered a request that each of them gets, so many milliseconds after it was sent. */
export function noteTime({ network, memory }: Client, mirror: number, milliseconds: number): void {
  const why = `it answers in ${Math.round(milliseconds)} ms, and so sooner`;
  network.changed(network.failover.measured(mirror, milliseconds, now()), why, true);
  const base = network.bases[mirror];
  const time = network.failover.times.get(mirror);
  if (network.bases.length > 1 && base !== undefined && time !== undefined)
    memory?.noteTime(show(base), time);
}

/** What is asked by one way. */
export interface WayRequest {
  /** As in a URL. */
  readonly path: string;
  readonly limit: number;
  readonly request: SourceRequest;
  /** Caches on the way are to ask the server themselves. */
  readonly fresh: boolean;
  readonly tries: number;
  readonly came: (received: number) => void;
  readonly answered: (milliseconds: number) => void;
}

const userAgent = `cvmfs pinfs/${version}`;

/** Asks by one way, and follows redirections where that is allowed. */
export async function askWay(
  client: Client,
  way: Way,
  asked: WayRequest,
  job: Pick<Job, 'run'>,
): Promise<Exclude<SourceAnswer, { kind: 'redirect' }>> {
  const { network, settings } = client;
  let target = targetOn(network.bases[way.mirror], asked.path);
  for (let count = 0; ; count++) {
    const question = makeQuestion(client, way, target, asked);
    asked.request.sink?.begin();
    const answer = await job.run((ended) =>
      send(client, way, question, { came: asked.came, answered: asked.answered, ended }),
    );
    if (answer.kind !== 'redirect') return answer;
    const allowed = settings.followRedirects;
    const { origins } = network;
    const to = redirected(target, answer, { allowed, count, origins });
    if (to instanceof PinfsError) {
      countWayError(network.counts(way), to.code);
      return { kind: 'failed', error: to, retry: 'never', fault: 'mirror' };
    }
    target = to;
  }
}

/** Begins one exchange, and knows of it until it is answered. */
export function send(
  client: Client,
  way: Way,
  question: Question,
  { came, answered, ended }: ExchangeListener,
): Exchange {
  const { network, traffic, asked } = client;
  const entry: Asked = { way, heardAt: now(), exchange: undefined };
  asked.add(entry);
  const counts = network.counts(way);
  counts.requests++;
  let seen = 0;
  const started = exchange(
    network.dispatcher(network.hop(way), question.origin),
    question,
    traffic,
    {
      came: (received) => {
        entry.heardAt = now();
        counts.bytes += received - seen;
        seen = received;
        came(received);
      },
      answered: (milliseconds) => {
        entry.heardAt = now();
        countFirstByte(counts, milliseconds);
        answered(milliseconds);
      },
      ended: (answer) => {
        asked.delete(entry);
        entry.exchange = undefined;
        // What is not wanted any more is nobody's fault.
        if (answer.kind === 'failed' && answer.error.code !== 'INTERRUPTED')
          countWayError(counts, answer.error.code);
        ended(answer);
      },
    },
  );
  if (asked.has(entry)) entry.exchange = started;
  return started;
}

export function makeQuestion(
  { network, settings }: Client,
  way: Way,
  target: HttpTarget,
  { request, limit, fresh, tries }: Pick<WayRequest, 'request' | 'limit' | 'fresh' | 'tries'>,
): Question {
  const { range, sink } = request;
  const base = network.bases[way.mirror];
  const hop = network.hop(way);
  const headers: Record<string, string> = {
    'User-Agent': userAgent,
    'Accept-Encoding': 'identity',
  };
  if (base?.authorization !== undefined && target.origin === base.origin) {
    headers['Authorization'] = base.authorization;
  }
  if (fresh) {
    headers['Cache-Control'] = 'no-cache';
    headers['Pragma'] = 'no-cache';
  }
  if (range !== undefined && range.length > 0) {
    headers['Range'] = `bytes=${range.offset}-${range.offset + range.length - 1}`;
  }
  return {
    shown: () => show(target) + throughText(hop),
    origin: target.origin,
    path: target.path,
    headers,
    limit,
    range,
    sink,
    timing: timingOf(settings, hop.kind === 'proxy', tries),
    // For the connection, and for the answer of the proxy.
    sentWithin:
      hop.kind === 'proxy' && target.origin.startsWith('https:')
        ? 2 * settings.proxied.connectTimeout
        : undefined,
  };
}

const probedFile = '.cvmfspublished';
const probedBytesMax = 64 * 1024;

type OneAnswer = Exclude<SourceAnswer, { kind: 'redirect' }>;

/** Asks for a small file once, and for nobody who waits; a way that can't be reached comes after the others from now on. */
export async function askOnce(
  client: Client,
  way: Way,
  asked: Pick<WayRequest, 'path' | 'limit'> & Partial<Pick<WayRequest, 'answered' | 'fresh'>>,
): Promise<OneAnswer> {
  const { network } = client;
  const answer = await sendOnce(client, way, asked);
  if (answer.kind === 'failed' && answer.error.passing && answer.error.code !== 'SOURCE_STATUS') {
    const whose = network.hop(way).kind === 'direct' ? 'mirror' : (answer.fault ?? 'either');
    network.changed(network.failover.failed(way, whose, now()), answer.error.message);
  }
  return answer;
}

async function sendOnce(
  client: Client,
  way: Way,
  asked: Pick<WayRequest, 'path' | 'limit'> & Partial<WayRequest>,
): Promise<OneAnswer> {
  let stop: (error: PinfsError) => void = () => undefined;
  const whole: WayRequest = {
    request: {},
    fresh: false,
    tries: 0,
    came: () => undefined,
    answered: () => undefined,
    ...asked,
  };
  try {
    return await askWay(client, way, whole, {
      run: async (start) => {
        if (client.closed) throw closedError();
        try {
          return await new Promise((ended) => {
            const current = start(ended);
            stop = (error) => current.cancel(error);
            client.running.add(stop);
          });
        } finally {
          client.running.delete(stop);
        }
      },
    });
  } catch (thrown) {
    return { kind: 'failed', error: asPinfsError(thrown), retry: 'never', fault: undefined };
  }
}

/** Asks for a small file, so that a mirror or a proxy that was not at fault is asked again. */
export async function runProbe(client: Client, probe: Probe): Promise<void> {
  const { network } = client;
  const answer = await sendOnce(client, probe.way, {
    path: probedFile,
    limit: probedBytesMax,
    fresh: true,
  });
  if (client.closed || !speaksFor(probe, answer)) return;
  network.changed(network.failover.cleared(probe, now()), 'it was not at fault', true);
}

/** Of a proxy, each answer of the server; of a server, that it is there, or says that it isn't. */
function speaksFor({ clears }: Probe, answer: OneAnswer): boolean {
  if (answer.kind === 'body' || answer.error.code === 'OBJECT_MISSING') return true;
  return clears === 'hop' && answer.fault === 'mirror';
}
