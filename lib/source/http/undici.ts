import { createRequire } from 'node:module';
import type { buildConnector, Pool } from 'undici';
import { systemContext } from '../../machine/authorities.js';
import { isUnknownAuthority } from './connection-error.js';

type PoolConstructor = new (origin: string, options: Pool.Options) => Pool;
type BuildConnector = (options: buildConnector.BuildOptions) => buildConnector.connector;

interface Undici {
  readonly Pool: PoolConstructor;
  readonly buildConnector: BuildConnector;
}

export interface PoolOptions {
  readonly connections: number;
  /** Milliseconds. */
  readonly connectTimeout: number;
}

let loaded: Undici | undefined;

/**
 * undici's Pool, loaded when it is first needed. All of undici takes three times as long to load as
 * the two files (their paths are not documented, hence the fallback).
 */
export function makePool(origin: string, { connections, connectTimeout }: PoolOptions): Pool {
  loaded ??= load();
  const options = { connections, connectTimeout, allowH2: false };
  if (!origin.startsWith('https:')) return new loaded.Pool(origin, options);
  return new loaded.Pool(origin, { ...options, connect: secureConnector(loaded, connectTimeout) });
}

// An authority that the administrator adds is known to running mounts after a minute at most.
const reloadAfterMs = 60_000;

/**
 * Connects with Node's own authorities, and with the system's as well where these do not know the server:
 * loading them takes longer than all else that a command does.
 */
function secureConnector(undici: Undici, timeout: number): buildConnector.connector {
  const common = { timeout, allowH2: false };
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
