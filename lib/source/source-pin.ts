import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { PinfsError } from '../format/errors.js';

/* What the words SOURCE[@PIN] say; apart from what opens a source, which takes a while to load. */

const url = /^https?:\/\//i;

/** Whether a source is given by a URL; anything else is a directory. */
export function isUrl(text: string): boolean {
  return url.test(text);
}

export interface SourceAndPin {
  readonly source: string;
  readonly pin: string | undefined;
}

/**
 * Splits `SOURCE[@PIN]`. In a URL the pin is behind the first `@` after the authority (a host may
 * have credentials in front); a directory that exists under the whole text has none, otherwise it is
 * behind the last `@`. An empty pin is kept, as it is a mistake that someone has to name.
 * @throws PinfsError USAGE for a URL of another kind, which is not shown: it may hold credentials.
 */
export function splitSourcePin(
  text: string,
  exists: (path: string) => boolean = existsSync,
): SourceAndPin {
  const scheme = url.exec(text);
  if (scheme === null && exists(text)) return { source: text, pin: undefined };
  const other = scheme === null ? /^[a-z][a-z0-9+.-]*:\/\//i.exec(text) : null;
  if (other !== null) {
    throw new PinfsError('USAGE', `'${other[0]}' begins no source`, {
      advice: 'A source is a URL that begins with http:// or https://, or a directory.',
    });
  }
  const authorityEnd = scheme === null ? 0 : text.slice(scheme[0].length).search(/[/?#]/);
  const at =
    scheme === null
      ? text.lastIndexOf('@')
      : authorityEnd < 0
        ? -1
        : text.indexOf('@', scheme[0].length + authorityEnd);
  if (at < 0) return { source: text, pin: undefined };
  return { source: text.slice(0, at), pin: text.slice(at + 1) };
}

/** The name of the repository unless another is given: the last component of the source. */
export function defaultFqrn(source: string): string {
  if (!isUrl(source)) return basename(resolve(source));
  const path = source.replace(url, '').replace(/\/+$/, '');
  const last = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(last);
  } catch {
    return last;
  }
}
