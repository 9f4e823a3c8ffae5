import { createRequire } from 'node:module';
import type { Pool } from 'undici';

type PoolConstructor = new (origin: string, options: Pool.Options) => Pool;

let constructor: PoolConstructor | undefined;

/**
 * undici's Pool, loaded when it is first needed. All of undici takes three times as long to load as
 * the one file (its path is not documented, hence the fallback).
 */
export function makePool(origin: string, options: Pool.Options): Pool {
  constructor ??= load();
  return new constructor(origin, options);
}

function load(): PoolConstructor {
  const require = createRequire(import.meta.url);
  try {
    return require('undici/lib/dispatcher/pool.js') as PoolConstructor;
  } catch {
    return (require('undici') as { Pool: PoolConstructor }).Pool;
  }
}
