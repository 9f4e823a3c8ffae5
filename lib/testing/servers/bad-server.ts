import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { misbehave, type Behaviour } from './bad-answers.js';

export type { Behaviour } from './bad-answers.js';

/** Which requests: a path as in the repository, or a pattern or test of it. */
export type Matcher = string | RegExp | ((path: string) => boolean);

export interface SeenRequest {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
}

export interface BadServer {
  /** Of the repository, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** All requests in the order in which they came. */
  readonly requests: readonly SeenRequest[];
  /** Connections made so far. */
  readonly connections: number;
  /** How often a path was asked for. */
  count(match: Matcher): number;
  /** From now on, for so many requests. Later rules go before earlier ones. */
  behave(match: Matcher, behaviour: Behaviour, times?: number): void;
  /** Forgets all rules and requests. */
  reset(): void;
  /** Ends all connections and answers at once. */
  close(): Promise<void>;
}

/** The good content: a directory, files by path, or a function. */
export type Contents =
  string | ReadonlyMap<string, Buffer> | ((path: string) => Buffer | undefined);

interface Rule {
  readonly matches: (path: string) => boolean;
  readonly behaviour: Behaviour;
  left: number;
}

/** Starts a server on loopback that serves `contents` below `/name`, badly where told so. */
export async function startBadServer(
  contents: Contents,
  name = 'made.example.org',
): Promise<BadServer> {
  const rules: Rule[] = [];
  const requests: SeenRequest[] = [];
  const timers = new Set<NodeJS.Timeout>();
  const find = finder(contents);
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    const path = pathOf(request, name);
    requests.push({ path, method: request.method ?? '', headers: request.headers });
    const rule = rules.find((one) => one.left > 0 && one.matches(path));
    if (rule !== undefined) rule.left--;
    const context = { request, response, content: find(path), timers };
    misbehave(context, rule?.behaviour ?? 'good');
  });
  // Headers are not checked against what is sent: that is the point.
  server.keepAliveTimeout = 60_000;
  let connections = 0;
  server.on('connection', (socket) => {
    connections++;
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A server that listens on TCP has an address of this form.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${name}`,
    port,
    requests,
    get connections() {
      return connections;
    },
    count: (match) => requests.filter(({ path }) => matcher(match)(path)).length,
    behave(match, behaviour, times = Infinity) {
      rules.unshift({ matches: matcher(match), behaviour, left: times });
    },
    reset() {
      rules.length = 0;
      requests.length = 0;
    },
    async close() {
      for (const timer of timers) clearInterval(timer);
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function pathOf(request: IncomingMessage, name: string): string {
  // Paths are byte strings, as everywhere.
  const path = (request.url ?? '')
    .replace(/[?#].*$/s, '')
    .replace(/%([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  const prefix = `/${name}/`;
  return path.startsWith(prefix) ? path.slice(prefix.length) : path;
}

function matcher(match: Matcher): (path: string) => boolean {
  if (typeof match === 'function') return match;
  if (typeof match === 'string') return (path) => path === match;
  return (path) => match.test(path);
}

function finder(contents: Contents): (path: string) => Buffer | undefined {
  if (typeof contents === 'function') return contents;
  if (typeof contents !== 'string') return (path) => contents.get(path);
  return (path) => {
    const file = join(contents, path);
    return statSync(file, { throwIfNoEntry: false })?.isFile() === true
      ? readFileSync(file)
      : undefined;
  };
}
