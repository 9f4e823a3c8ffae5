import { objectPath } from '../../format/hash.js';
import type { Source } from '../../source/source.js';
import { storedLimit } from '../inflate.js';
import type { Want } from '../want.js';
import type { Begun } from './batch.js';

/** The first request for a small object, where the source makes one alone (`once`); `download` goes on from there. */
export async function tryOneRequest(
  source: Source,
  want: Want,
  signal: AbortSignal,
): Promise<Begun | undefined> {
  if (source.once === undefined || want.external !== undefined || signal.aborted) return undefined;
  let stop = (): void => undefined;
  try {
    return await new Promise<Begun | undefined>((resolve) => {
      const once = source.once?.(objectPath(want.object), storedLimit(want), {
        came: () => undefined,
        ended: (outcome) => {
          const { bytes, tried } = outcome;
          resolve(bytes === undefined ? { tried } : { stored: bytes, served: outcome.served });
        },
      });
      stop = (): void => {
        // Whoever goes on says that it was interrupted, and not that a request failed.
        resolve(undefined);
        once?.cancel();
      };
      if (once === undefined) resolve(undefined);
      else signal.addEventListener('abort', stop, { once: true });
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
