import { PinfsError } from '../../format/errors.js';
import { nothingMet, sooner, type Way } from '../failover/failover.js';
import {
  geoAnswerBytesMax,
  geoPath,
  geoQuestion,
  parseGeoAnswer,
  type GeoOrder,
  type GeoQuestion,
} from '../order/geo.js';
import type { ServerOrder } from '../order/server-order.js';
import { show } from './base.js';
import { openProxyAddresses } from './proxy-addresses.js';
import { askOnce, noteTime, now, type Client } from './client.js';
import type { OrderOptions } from './settings.js';

/*
 * In which order servers and fallback proxies are asked: found before anything is fetched, and by the Geo API again once
 * its answer is old, or this machine is elsewhere.
 */

/** Resolved when the order is there, or when nobody waits for it any more: it then comes when it comes. Never rejects. */
export type Arranged = () => Promise<ServerOrder>;

// No request waits longer for the order (ms), nor for more than a third of its deadline.
const orderWaitMsMax = 5_000;
// As many servers are asked, drawn at random; the reference asks no more.
const geoServersMax = 3;
// As long as servers say that their answer counts (ms).
const geoAgeMsMax = 3_600_000;
const probedFile = '.cvmfspublished';
const probedBytesMax = 64 * 1024;

/**
 * Puts the servers into their order when that is asked for first, and looks after the addresses of proxies from then on.
 * undefined: there is nothing to be put into an order.
 */
export function openArranger(client: Client, options: OrderOptions): Arranged | undefined {
  const { network, settings } = client;
  const addresses = openProxyAddresses(network, settings);
  const isAlone =
    network.bases.length < 2 && fallbackGroups(network.groups, options.fallbackFrom).length < 2;
  if (isAlone && !addresses.isNamed) return undefined;
  const labels = network.bases.map(show);
  let order: ServerOrder = { by: 'given', why: 'as they were named', servers: labels, leftOut: [] };
  let fallbacks: readonly number[] | undefined;
  const arrange = (mirrors: readonly number[], why: string): void => {
    const groups = addresses.groups().map((own) => withFallbacks(own, options, fallbacks));
    const arrangement = { order: mirrors, byTimes: order.by !== 'geo', groups };
    network.changed(network.failover.arrange(arrangement, now()), why, true);
  };
  const refresh = async (): Promise<void> => {
    if (await addresses.refresh())
      arrange(network.failover.order, 'names of proxies lead to other addresses');
  };
  let foundAt = now();
  let foundMoves = network.moves();
  const find = async (isAgain = false): Promise<void> => {
    await refresh();
    if (isAlone) return;
    const isElsewhere = network.moves() !== foundMoves;
    [foundAt, foundMoves] = [now(), network.moves()];
    const { mirrors, ...rest } = await findOrder(client, options, labels, isElsewhere);
    // An answer that was had before is better than none.
    if (isAgain && rest.order.by !== 'geo') return;
    ({ order, fallbacks } = rest);
    arrange(mirrors, order.why);
  };
  const isOld = (): boolean =>
    options.geo === true &&
    (now() - foundAt > (options.geoAge ?? geoAgeMsMax) || network.moves() !== foundMoves);
  let found: Promise<void> | undefined;
  let isOver = false;
  return async () => {
    const first = (found ??= find().catch(() => undefined));
    // Nobody waits for what is asked again.
    if (isOver) (isOld() ? find(true) : refresh()).catch(() => undefined);
    else await within(first, Math.min(orderWaitMsMax, settings.deadline / 3));
    isOver = true;
    return order;
  };
}

async function within(promise: Promise<void>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

interface Found {
  readonly order: ServerOrder;
  readonly mirrors: readonly number[];
  /** Groups of fallback proxies, as far as they are put into an order. */
  readonly fallbacks: readonly number[] | undefined;
}

async function findOrder(
  client: Client,
  options: OrderOptions,
  labels: readonly string[],
  isElsewhere: boolean,
): Promise<Found> {
  const geo = options.geo === true ? await geoOrder(client, options, isElsewhere) : undefined;
  const isGeo = geo !== undefined && !(geo instanceof PinfsError);
  const all = isGeo ? geo.order.servers : await byTimes(client, options);
  const most = Math.max(1, options.maxServers ?? Infinity);
  const isTimed = !isGeo && all.some((mirror, place) => mirror !== place);
  const failed = geo instanceof PinfsError ? `, as the Geo API was of no help: ${geo.message}` : '';
  const told = isTimed ? 'who answered much sooner is first' : 'as they were named';
  const named = (mirrors: readonly number[]): string[] =>
    mirrors.map((mirror) => labels[mirror] ?? '');
  const order: ServerOrder = {
    by: isGeo ? 'geo' : isTimed ? 'times' : 'given',
    why: isGeo ? geo.why : told + failed,
    servers: named(all.slice(0, most)),
    leftOut: named(all.slice(most)),
  };
  const fallbacks = isGeo ? geo.order.fallbacks : undefined;
  return { order, mirrors: all.slice(0, most), fallbacks };
}

type Groups = readonly (readonly number[])[];

function fallbackGroups(groups: readonly Groups[], fallbackFrom = Infinity): Groups {
  // Where there are any they are those of each server.
  return (groups[0] ?? []).slice(fallbackFrom);
}

function withFallbacks(
  groups: Groups,
  { fallbackFrom = Infinity }: OrderOptions,
  order: readonly number[] | undefined,
): Groups {
  if (order === undefined) return groups;
  const fallbacks = groups.slice(fallbackFrom);
  return [
    ...groups.slice(0, fallbackFrom),
    ...order.flatMap((one) => fallbacks.slice(one, one + 1)),
  ];
}

/** What was measured before; where some are to be left out, and of one no time is known, all are measured. */
async function byTimes(
  client: Client,
  { maxServers = Infinity, memory }: OrderOptions,
): Promise<readonly number[]> {
  const { bases } = client.network;
  const given = [...bases.keys()];
  const times = new Map<number, number>();
  for (const [mirror, base] of bases.entries()) {
    const time = memory?.time(show(base));
    if (time !== undefined) times.set(mirror, time);
  }
  const isLacking = times.size < bases.length && maxServers < bases.length;
  if (isLacking) await Promise.all(given.map((mirror) => measure(client, mirror)));
  const { times: measured } = client.network.failover;
  return sooner(given, isLacking ? measured : times);
}

/** Asks a server for a small file; the time to its answer is noted. */
async function measure(client: Client, mirror: number): Promise<void> {
  const way = bestWay(client, mirror);
  if (way === undefined) return;
  await askOnce(client, way, {
    path: probedFile,
    limit: probedBytesMax,
    answered: (milliseconds) => noteTime(client, mirror, milliseconds),
  });
}

function bestWay({ network }: Client, mirror: number): Way | undefined {
  const missing = new Set(network.bases.keys());
  missing.delete(mirror);
  return network.failover.pick('', { ...nothingMet, missing }, now());
}

interface FoundOrder {
  readonly order: GeoOrder;
  readonly why: string;
}

/** The order that a server gives; undefined: there is no question; an error: nobody had an answer. */
async function geoOrder(
  client: Client,
  options: OrderOptions,
  isElsewhere: boolean,
): Promise<FoundOrder | PinfsError | undefined> {
  const { network } = client;
  const fallbacks = fallbackGroups(network.groups, options.fallbackFrom);
  const onlyFallbacks = options.fallbackFrom === 0;
  const question = geoQuestion(
    network.bases.map(({ origin }) => new URL(origin).hostname),
    fallbacks.map(([first = -1]) => hostOf(client, first) ?? ''),
    onlyFallbacks,
  );
  if (question === undefined) return undefined;
  let last = new PinfsError('SOURCE_STATUS', 'no server could be asked');
  for (const mirror of drawn(network.bases.length).slice(0, geoServersMax)) {
    const way = bestWay(client, mirror);
    if (way === undefined) continue;
    const found = await askGeo(client, options, way, question, isElsewhere);
    if (!(found instanceof PinfsError)) return found;
    last = found;
  }
  return last;
}

async function askGeo(
  client: Client,
  { fallbackFrom, memory, proxyTemplate }: OrderOptions,
  way: Way,
  question: GeoQuestion,
  isElsewhere: boolean,
): Promise<FoundOrder | PinfsError> {
  // Who is asked through a fallback proxy alone has no place but his own.
  const host = fallbackFrom === 0 ? undefined : hostOf(client, way.hop);
  const caching = proxyTemplate ?? host ?? memory?.uuid ?? 'x';
  const path = geoPath(question, caching);
  const asked = client.network.label(way);
  const known = isElsewhere ? undefined : memory?.geoAnswer(path);
  if (known !== undefined) {
    const order = parseGeoAnswer(Buffer.from(known, 'latin1'), question);
    if (!(order instanceof PinfsError)) return { order, why: 'as the Geo API said before' };
  }
  const answer = await askOnce(client, way, { path, limit: geoAnswerBytesMax });
  if (answer.kind === 'failed') return answer.error;
  const order = parseGeoAnswer(answer.bytes, question);
  if (order instanceof PinfsError) return new PinfsError(order.code, `${asked}: ${order.message}`);
  memory?.noteGeoAnswer(path, answer.bytes.toString('latin1'));
  return { order, why: `as the Geo API of ${asked} says` };
}

/** The host name of a proxy. */
function hostOf({ network }: Client, hop: number): string | undefined {
  const found = network.hop({ mirror: 0, hop });
  return found.kind === 'direct' ? undefined : new URL(found.origin).hostname;
}

/** The numbers below `count` in an order of chance. */
function drawn(count: number): number[] {
  return Array.from({ length: count }, (_, number) => ({ number, draw: Math.random() }))
    .sort((a, b) => a.draw - b.draw)
    .map(({ number }) => number);
}
