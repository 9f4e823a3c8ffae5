import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { decoder } from '../../format/schema.js';
import { isUrl, splitSourcePin } from '../../source/source-pin.js';
import { makeStateDirectory, readState, writeState } from '../../trust/memory/state-files.js';
import { readStateFields, stateFormat } from '../../trust/memory/state-format.js';

/* Where repositories were opened from, newest first: what a cache lost is asked for there again. No credentials. */

const fileName = 'sources.json';
const sourcesMax = 32;

interface Known {
  readonly sources: readonly string[];
  /** A later version of pinfs wrote them. */
  readonly isNewer: boolean;
}

const listed = decoder((v) => v.looseObject({ sources: v.array(v.string()) }));

/** The sources that are known in a state directory; none where that can't be read. */
export function knownSources(state: string): readonly string[] {
  return knownIn(bytesOf(state)).sources;
}

function bytesOf(state: string): Buffer | undefined {
  try {
    return readState(join(state, fileName));
  } catch {
    return undefined;
  }
}

function knownIn(bytes: Buffer | undefined): Known {
  const found = bytes && readStateFields(bytes);
  // Nobody relies on it: what is damaged is none.
  if (found === undefined) return { sources: [], isNewer: false };
  const { sources = [] } = listed(found.fields) ?? {};
  return { sources: sources.slice(0, sourcesMax), isNewer: found.isNewer };
}

/** Remembers a source, given as SOURCE[@PIN], if it is a new one. What can't be written is not remembered. */
export function rememberSource(state: string, given: string): void {
  const source = withoutSecrets(splitSourcePin(given).source);
  if (source === undefined) return;
  const bytes = bytesOf(state);
  // Most often it is there, and nothing has to be decoded.
  if (bytes?.includes(JSON.stringify(source)) === true) return;
  const known = knownIn(bytes);
  if (known.isNewer) return;
  try {
    makeStateDirectory(state);
    const sources = [source, ...known.sources].slice(0, sourcesMax);
    const text = JSON.stringify({ format: stateFormat, sources });
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
