import { join, resolve } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { isUrl } from '../../source/open.js';
import { makeStateDirectory, readState, writeState } from '../../trust/memory/state-files.js';

/* Where repositories were opened from, newest first: what a cache lost is asked for there again. No credentials. */

const fileName = 'sources.json';
const sourcesMax = 32;

/** The sources that are known in a state directory; none where that can't be read. */
export function knownSources(state: string): string[] {
  try {
    const bytes = readState(join(state, fileName));
    const parsed: unknown = bytes === undefined ? [] : JSON.parse(bytes.toString('utf8'));
    if (!Array.isArray(parsed)) return [];
    return parsed.filter((one): one is string => typeof one === 'string').slice(0, sourcesMax);
  } catch {
    // Nobody relies on it.
    return [];
  }
}

/** Remembers a source, if it is a new one. What can't be written is not remembered. */
export function rememberSource(state: string, label: string): void {
  const source = isUrl(label) ? label : resolve(label);
  const known = knownSources(state);
  if (known.includes(source)) return;
  try {
    makeStateDirectory(state);
    const text = JSON.stringify([source, ...known].slice(0, sourcesMax));
    writeState(join(state, fileName), text, { replace: true });
  } catch (thrown) {
    if (!(thrown instanceof PinfsError)) throw thrown;
  }
}
