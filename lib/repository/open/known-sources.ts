import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { isUrl, splitSourcePin } from '../../source/open.js';
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

/** Remembers a source, given as SOURCE[@PIN], if it is a new one. What can't be written is not remembered. */
export function rememberSource(state: string, given: string): void {
  const source = withoutSecrets(splitSourcePin(given).source);
  const known = knownSources(state);
  if (source === undefined || known.includes(source)) return;
  try {
    makeStateDirectory(state);
    const text = JSON.stringify([source, ...known].slice(0, sourcesMax));
    writeState(join(state, fileName), text, { replace: true });
  } catch (thrown) {
    if (!(thrown instanceof PinfsError)) throw thrown;
  }
}

/** Undefined: a name that means something to this site alone. */
function withoutSecrets(source: string): string | undefined {
  if (isUrl(source)) return source.replace(/^([^/]*\/\/)[^/]*@/, '$1');
  return existsSync(source) ? resolve(source) : undefined;
}
