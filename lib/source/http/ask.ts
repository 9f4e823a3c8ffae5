import { asPinfsError, PinfsError } from '../../format/errors.js';
import { isSame, type Way } from '../failover/failover.js';
import type { SourceRequest } from '../source.js';
import { withAttempts } from './attempts.js';
import {
  askWay,
  giveUpOn,
  isOneOf,
  noteTime,
  now,
  runProbe,
  type Client,
  type Only,
} from './client.js';
import type { Job } from './job.js';
import type { Network } from './network.js';
import type { FailedAnswer, Retry } from './request.js';
import { pauseBefore, type HttpSettings } from './settings.js';

// A server that announces more than there is time for is asked again no later (ms).
const retryAfterMsMax = 10_000;
// A server that closes its idle connections may close several at once.
const staleConnectionsMax = 2;
const errorsKeptMax = 32;

/** One `get`, and what it has met so far. */
interface Asking {
  readonly client: Client;
  /** As in a URL. */
  readonly path: string;
  readonly limit: number;
  readonly request: SourceRequest;
  readonly job: Job;
  /** The one mirror or way that is asked; undefined: any. */
  readonly only: Only | undefined;
  readonly began: number;
  /** Ways that failed since the last pause. */
  failed: Way[];
  readonly missing: Set<number>;
  readonly damaged: readonly Way[];
  /** What is asked once more for a fresh copy. */
  repeated: Way | undefined;
  readonly errors: PinfsError[];
  /** Since the last pause: the best hope that asking again helps, and when (ms). */
  hope: Retry;
  after: number;
  /** Since there was progress. */
  tries: number;
  failures: number;
  stale: number;
}

/** What a `get` is made of before anything is asked. */
export type AskingStart = Pick<Asking, 'client' | 'path' | 'limit' | 'request' | 'job' | 'only'>;

function begin(start: AskingStart): Asking {
  const { client, request, only } = start;
  const { served = [] } = request;
  const last = served.at(-1);
  const repeated = last?.fresh === false ? last : undefined;
  return {
    ...start,
    began: now(),
    failed: [],
    missing: new Set(othersThan(client.network, only)),
    damaged: [
      ...leftOut(client.network, only),
      ...(repeated === undefined ? served : served.slice(0, -1)),
    ],
    repeated,
    errors: [],
    hope: 'never',
    after: Infinity,
    tries: 0,
    failures: 0,
    stale: 0,
  };
}

function othersThan({ bases }: Network, only: Only | undefined): number[] {
  return only === undefined ? [] : [...bases.keys()].filter((mirror) => mirror !== only.mirror);
}

/** Ways that are not asked. */
function leftOut({ failover }: Network, only: Only | undefined): Way[] {
  return failover.ways.filter((way) => only?.hop !== undefined && way.hop !== only.hop);
}

/** Asks one way after the other, and again with pauses where that may help. */
export async function ask(start: AskingStart): Promise<Buffer> {
  const asking = begin(start);
  try {
    return await askEach(asking);
  } catch (thrown) {
    throw withTries(asking, asPinfsError(thrown));
  }
}

/** Who has waited too long is told what happened meanwhile. */
function withTries(asking: Asking, error: PinfsError): PinfsError {
  const { errors } = asking;
  const isOfWait =
    error.code === 'SOURCE_TIMEOUT' && error.cause === undefined && !errors.includes(error);
  return isOfWait && errors.length > 0
    ? totalError({ ...asking, errors: [...errors, error] })
    : error;
}

async function askEach(asking: Asking): Promise<Buffer> {
  const { client, path, limit, request, job } = asking;
  const { network } = client;
  const came = (received: number): void => {
    // A server that gets on is no longer one that is away.
    if (job.came(received)) asking.tries = 0;
  };
  let { tried } = request;
  for (;;) {
    await job.turn();
    const way = tried?.way ?? asking.repeated ?? nextWay(asking);
    if (way === undefined) throw notThere(asking);
    if (asking.failures === 0 && tried === undefined) await leaveAlone(asking, way);
    const asked = tried?.asked ?? now();
    const answered = (milliseconds: number): void => {
      // Compared where each is asked for the same.
      if (asking.only !== undefined) noteTime(client, way.mirror, milliseconds);
    };
    const fresh = request.fresh === true || (request.served ?? []).length > 0;
    const { tries } = asking;
    const wanted = { path, limit, request, fresh, tries, came, answered };
    const answer = tried?.answer ?? (await askWay(client, way, wanted, job));
    tried = undefined;
    const serving = { mirror: way.mirror, hop: way.hop, fresh };
    if (answer.kind === 'body') {
      request.served?.push(serving);
      // Of one that is asked after something damaged came nobody knows yet what it gave.
      if (asking.damaged.length === 0 && asking.repeated === undefined)
        noteAnswer(client, way, asked);
      else network.rests.over(way);
      return answer.bytes;
    }
    const { error, fault } = answer;
    if (error.code === 'OBJECT_MISSING') {
      asking.repeated = undefined;
      asking.missing.add(way.mirror);
      note(asking, error);
      continue;
    }
    client.traffic.failures++;
    if (answer.retry === 'stale' && asking.stale++ < staleConnectionsMax) continue;
    if (fault === undefined && answer.retry === 'never') {
      request.served?.push(serving);
      throw error;
    }
    asking.repeated = undefined;
    await afterFailure(asking, way, answer);
  }
}

/** A way answered what was asked at that time. */
export function noteAnswer({ network }: Client, way: Way, asked: number): void {
  network.rests.over(way);
  network.changed(network.failover.answered(way, asked, now()), 'it is well again', true);
}

/** Who asked to be left alone comes after the others. */
function nextWay(asking: Asking): Way | undefined {
  const { client, path, only, failed } = asking;
  const { failover, rests } = client.network;
  const resting = only === undefined ? rests.ways(now()) : [];
  const met = resting.length === 0 ? asking : { ...asking, failed: [...failed, ...resting] };
  return failover.pick(path, met, now());
}

/** Waits until a way may be asked, as another request was told (Retry-After). */
async function leaveAlone(asking: Asking, way: Way): Promise<void> {
  const { client, only, job } = asking;
  const left = client.network.rests.left(way, now());
  if (only !== undefined || left === 0) return;
  await job.pause(within(asking, left) + pauseBefore(client.settings, 0));
}

/** As long as a server wants to be left alone, where there is time for it. */
function within({ client, began }: Asking, milliseconds: number): number {
  const left = client.settings.deadline - (now() - began);
  return milliseconds <= left ? milliseconds : Math.min(milliseconds, retryAfterMsMax);
}

/** Comes back when to ask again, at once where another way is left. @throws the error, where it is no use. */
async function afterFailure(asking: Asking, way: Way, answer: FailedAnswer): Promise<void> {
  const { client, path, request, job } = asking;
  const { settings, network } = client;
  const { error, fault, retry, after = 0 } = answer;
  const { demand } = request;
  note(asking, error);
  asking.failed.push(way);
  asking.after = Math.min(asking.after, after);
  if (after > 0) network.rests.note(way, now() + after);
  if (hopes.indexOf(retry) > hopes.indexOf(asking.hope)) asking.hope = retry;
  if (fault !== undefined) blame(client, way, answer);
  const next = network.failover.pick(path, asking, now());
  const isUntried = next !== undefined && !asking.failed.some((one) => isSame(one, next));
  const most = network.bases.length + network.failover.ways.length;
  const total = totalError(asking);
  if (isUntried && asking.failed.length < most) {
    demand?.failed(total);
    return;
  }
  const isMissed = asking.missing.size > othersThan(network, asking.only).length;
  if (isMissed && asking.tries > 0) throw notThere(asking);
  if (!mayAskAgain(settings, request, asking.hope, asking.failures++)) throw total;
  demand?.failed(total);
  const waits = within(asking, asking.after);
  await job.pause(Math.max(waits, pauseBefore(settings, asking.tries++)));
  // Whoever waited may have gone.
  if (demand !== undefined && demand.urgency !== 'wanted') throw error;
  asking.failed = [];
  asking.hope = 'never';
  asking.after = Infinity;
}

const hopes: readonly Retry[] = ['never', 'mounted', 'later', 'stale'];

function note({ errors }: Asking, error: PinfsError): void {
  errors.push(error);
  if (errors.length > errorsKeptMax) errors.shift();
}

function totalError({ errors, client, only }: Asking): PinfsError {
  const { ways } = client.network.failover;
  const count = ways.filter((way) => isOneOf(only, way)).length;
  const isProxied = ways.some((way) => client.network.hop(way).kind === 'proxy');
  return withAttempts(errors, isProxied && only?.hop === undefined ? Math.max(2, count) : count);
}

/** It is missing at each mirror that answered. */
function notThere(asking: Asking): PinfsError {
  const isMissing = ({ code }: PinfsError): boolean => code === 'OBJECT_MISSING';
  const missing = asking.errors.filter(isMissing);
  const others = asking.errors.filter((error) => !isMissing(error));
  return totalError({ ...asking, errors: [...others, ...missing] });
}

/** Others are asked from now on. Where nobody knows whose fault it was, that is found out meanwhile. */
function blame(client: Client, way: Way, { error, fault = 'either' }: FailedAnswer): void {
  const { network } = client;
  const whose = network.hop(way).kind === 'direct' ? 'mirror' : fault;
  network.changed(network.failover.failed(way, whose, now()), error.message);
  if (network.failover.ways.length > 1) giveUpOn(client, way, error);
  if (whose !== 'either') return;
  for (const probe of network.failover.probes(way, now())) void runProbe(client, probe);
}

/** What nobody waits for is not asked again. */
function mayAskAgain(
  { retries, retriesOfCommand }: HttpSettings,
  { demand }: SourceRequest,
  retry: Retry,
  failures: number,
): boolean {
  if (retry === 'never' || (retry === 'mounted' && demand?.persistent !== true)) return false;
  if (demand !== undefined && demand.urgency !== 'wanted') return false;
  const most = retries ?? (demand?.persistent === true ? Infinity : retriesOfCommand);
  return failures < most;
}
