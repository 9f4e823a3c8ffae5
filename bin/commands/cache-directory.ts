import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { directories, processEnvironment } from '../../lib/repository/open/environment.js';
import type { OutputFlags } from './options.js';

export const cacheOptions = {
  cache: { ...sourceOptionTable.cache, help: 'cache directory', manual: undefined },
} as const satisfies OptionRows;

export type CacheFlags = OutputFlags & OptionValues<typeof cacheOptions>;

/** Where the cache and its state lie. @throws PinfsError USAGE */
export function cacheDirectory(flags: CacheFlags): { cache: string; state: string } {
  return directories(
    { source: '', ...(flags.cache === undefined ? {} : { cache: flags.cache }) },
    processEnvironment,
  );
}
