import { createRequire } from 'node:module';
import type { LookupFunction } from 'node:net';
import type { buildConnector, Dispatcher, Pool, ProxyAgent } from 'undici';
import { systemContext } from '../../machine/authorities.js';
import { isUnknownAuthority } from './connection-error.js';

type PoolConstructor = new (origin: string, options: Pool.Options) => Pool;
type ProxyAgentConstructor = new (options: ProxyAgent.Options) => Dispatcher;
type BuildConnector = (options: buildConnector.BuildOptions) => buildConnector.connector;

interface Undici {
  readonly Pool: PoolConstructor;
  readonly buildConnector: BuildConnector;
}

export interface PoolOptions {
  readonly connections: number;
  /** Milliseconds, of which looking up the name is a part. */
  readonly connectTimeout: number;
  readonly lookup: LookupFunction;
}

let loaded: Undici | undefined;

/**
 * undici's Pool, loaded when it is first needed. All of undici takes three times as long to load as
 * the two files (their paths are not documented, hence the fallback).
 */
export function makePool(origin: string, pool: PoolOptions): Pool {
  loaded ??= load();
  const { connections, connectTimeout, lookup } = pool;
  const options = { connections, connectTimeout, allowH2: false };
  if (!origin.startsWith('https:'))
    return new loaded.Pool(origin, { ...options, connect: { lookup } });
  return new loaded.Pool(origin, { ...options, connect: secureConnector(loaded, pool) });
}

export interface ProxyOptions extends PoolOptions {
  readonly origin: string;
  /** What it gets as Proxy-Authorization. */
  readonly authorization: string | undefined;
}

/**
 * Sends requests for any server through one proxy: those of http as they are, those of https through a tunnel.
 * undici's ProxyAgent is loaded when the first proxy is used.
 */
export function makeProxyDispatcher(options: ProxyOptions): Dispatcher {
  loaded ??= load();
  const { Pool } = loaded;
  const { origin, authorization, connections, connectTimeout, lookup } = options;
  const secureContext = systemContext();
  const secure = secureContext === undefined ? {} : { secureContext };
  const connect = { timeout: connectTimeout, allowH2: false };
  // The answer to CONNECT is bounded as a connection is.
  const common = { connections, allowH2: false, headersTimeout: connectTimeout };
  const { ProxyAgent, connect: tunnel } = loadProxyParts();
  const methods = tunnel === undefined ? {} : { connect: tunnel };
  return new ProxyAgent({
    uri: origin,
    proxyTunnel: false,
    ...(authorization === undefined ? {} : { token: authorization }),
    proxyTls: { ...connect, ...secure, lookup },
    requestTls: { ...connect, ...secure },
    factory: (to: string | URL, given: object) => new Pool(String(to), { ...given, ...common }),
    clientFactory: (to: URL, given: object) =>
      Object.assign(new Pool(to.origin, { ...given, ...common }), methods),
  });
}

interface ProxyParts {
  readonly ProxyAgent: ProxyAgentConstructor;
  /** The method that the pool to the proxy needs for tunnels; undefined: it has it. */
  readonly connect: unknown;
}

/** All of undici adds its methods to each pool as it is loaded; that takes twenty times as long as these two. */
function loadProxyParts(): ProxyParts {
  const require = createRequire(import.meta.url);
  try {
    return {
      ProxyAgent: require('undici/lib/dispatcher/proxy-agent.js') as ProxyAgentConstructor,
      connect: require('undici/lib/api/api-connect.js'),
    };
  } catch {
    const { ProxyAgent } = require('undici') as { ProxyAgent: ProxyAgentConstructor };
    return { ProxyAgent, connect: undefined };
  }
}

// An authority that the administrator adds is known to running mounts after a minute at most.
const reloadAfterMs = 60_000;

/**
 * Connects with Node's own authorities, and with the system's as well where these do not know the server:
 * loading them takes longer than all else that a command does.
 */
function secureConnector(
  undici: Undici,
  { connectTimeout: timeout, lookup }: PoolOptions,
): buildConnector.connector {
  const common = { timeout, allowH2: false, lookup };
  let current = undici.buildConnector(common);
  let loadedAt = -Infinity;
  const renew = (): void => {
    if (performance.now() - loadedAt < reloadAfterMs) return;
    const secureContext = systemContext();
    loadedAt = performance.now();
    if (secureContext !== undefined) current = undici.buildConnector({ ...common, secureContext });
  };
  return (options, callback) => {
    const used = current;
    used(options, (...answer: Parameters<buildConnector.Callback>) => {
      const [error] = answer;
      const unknown = error !== null && isUnknownAuthority(error);
      // Others may have loaded them while this one was under way.
      if (unknown && current === used) renew();
      if (unknown && current !== used) current(options, callback);
      else callback(...answer);
    });
  };
}

function load(): Undici {
  const require = createRequire(import.meta.url);
  try {
    return {
      Pool: require('undici/lib/dispatcher/pool.js') as PoolConstructor,
      buildConnector: require('undici/lib/core/connect.js') as BuildConnector,
    };
  } catch {
    return require('undici') as Undici;
  }
}
