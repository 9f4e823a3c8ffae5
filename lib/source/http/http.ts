import { PinfsError } from '../../format/errors.js';
import { escapePath } from '../path.js';
import type { Source, SourceRequest, Traffic } from '../source.js';
import { nothingMet } from '../failover/failover.js';
import { openArranger, type Arranged } from './arrange.js';
import { ask } from './ask.js';
import { askByOneRequest } from './once.js';
import { show } from './base.js';
import { closedError, now, targetOn, type Client, type Only } from './client.js';
import { startJob } from './job.js';
import { judged } from './judged.js';
import { openNetwork, throughText } from './network.js';
import { settingsOf, type HttpOptions } from './settings.js';

export { connectTimeoutMs, type HttpOptions } from './settings.js';

// Whoever waits with no limits of his own waits no longer (ms).
const ownDeadlineMsMax = 30_000;

/**
 * A repository on an HTTP server, and on its mirrors. Credentials in a URL are sent as `Authorization` to that server
 * only, and are never shown.
 * @throws PinfsError USAGE if a URL is not one of a repository; PROXY_MALFORMED.
 */
export function httpSource(text: string, options: HttpOptions = {}): Source {
  const settings = settingsOf(options);
  const traffic: Traffic = { requests: 0, bytes: 0, failures: 0 };
  const network = openNetwork(text, settings, options, traffic);
  const { tell } = options;
  const client: Client = {
    settings,
    network,
    traffic,
    running: new Set(),
    asked: new Set(),
    closed: false,
    isArranged: false,
    tell,
    memory: options.memory,
  };
  const arranged = openArranger(client, options);
  const alone = network.bases.map((_, mirror) => viewOf(client, { mirror }));
  const whole = viewOf(client, undefined, arranged);
  return {
    ...whole,
    get mirrors() {
      const { order } = network.failover;
      return alone.length < 2 ? undefined : order.flatMap((mirror) => alone[mirror] ?? []);
    },
    get ways() {
      return network.failover.ways.map((way) => viewOf(client, way));
    },
    arranged,
    async close() {
      options.memory?.flush();
      await whole.close();
    },
  };
}

/**
 * @param only the one mirror or way that is asked; undefined: any.
 * @param arranged what is asked for waits for that; undefined: there is no order.
 */
function viewOf(client: Client, only: Only | undefined, arranged?: Arranged): Source {
  const { network } = client;
  const base = network.bases[only?.mirror ?? 0];
  const { hop } = only ?? {};
  const through =
    only === undefined || hop === undefined ? '' : throughText(network.hop({ ...only, hop }));
  return {
    label: base === undefined ? '' : show(base) + through,
    traffic: client.traffic,
    get: (path, limit, request = {}) => get(client, { path, limit, request, only, arranged }),
    once: (path, limit, listener) => {
      if (only !== undefined || !client.isArranged) return undefined;
      void arranged?.();
      return askByOneRequest(client, path, limit, listener);
    },
    judged: (served, error) => judged(client, only, served, error),
    nameOf: (served) => network.label(served),
    wayOf: (path) => {
      const way = network.failover.pick(escapePath(path), nothingMet, now());
      return network.label(way ?? network.failover.current(now()));
    },
    async close() {
      client.closed = true;
      for (const stop of client.running) stop(closedError());
      for (const { exchange } of client.asked) exchange?.cancel(closedError());
      await client.network.close();
    },
  };
}

interface Wanted {
  readonly path: string;
  readonly limit: number;
  readonly request: SourceRequest;
  readonly only: Only | undefined;
  readonly arranged: Arranged | undefined;
}

async function get(
  client: Client,
  { path, limit, request, only, arranged }: Wanted,
): Promise<Buffer> {
  const { signal, range, demand } = request;
  const escaped = escapePath(path);
  const shown = (): string => show(targetOn(client.network.bases[only?.mirror ?? 0], escaped));
  if (range !== undefined && range.length > limit) {
    const excess = `${shown()}: ${range.length} bytes are more than the ${limit} expected`;
    throw new PinfsError('OBJECT_TOO_LARGE', excess);
  }
  if (client.closed) throw closedError();
  const { deadline, minRate } = client.settings;
  const limits = { deadline: Math.min(deadline, ownDeadlineMsMax), minRate };
  const job = startJob({ shown, limits, limit, signal, demand });
  client.running.add(job.stop);
  try {
    if (arranged !== undefined) await job.until(arranged());
    client.isArranged = true;
    return await ask({ client, path: escaped, limit, request, job, only });
  } finally {
    client.running.delete(job.stop);
    job.end();
  }
}
