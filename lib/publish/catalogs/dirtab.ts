import { printable, type ByteString } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';

/** Whether a path (`/a/b`) is to begin a nested catalog. */
export type Dirtab = (path: ByteString) => boolean;

export const dirtabFile = '.cvmfsdirtab';
// Patterns become regular expressions, which are looked at for each directory.
export const dirtabBytesMax = 2 ** 18;

/**
 * Reads a `.cvmfsdirtab`: a path is selected if a positive pattern matches all of it, and no
 * negative one does.
 * @throws PinfsError DIRTAB_MALFORMED
 */
export function parseDirtab(text: ByteString): Dirtab {
  const positive = new Map<string, RegExp>();
  const negative = new Map<string, RegExp>();
  for (const [index, line] of text.split('\n').entries()) {
    const pattern = line.replace(/^[ \t]+/, '');
    if (pattern === '' || pattern.startsWith('#')) continue;
    const isNegative = pattern.startsWith('!');
    const body = isNegative ? pattern.slice(1).replace(/^[ \t]+/, '') : pattern;
    if (!isNegative && !body.startsWith('/')) throw malformed(index, 'does not begin with a slash');
    const source = sourceOf(body, isNegative, index);
    (isNegative ? negative : positive).set(body, new RegExp(`^${source}$`, 's'));
    if (positive.has(body) && negative.has(body))
      throw malformed(index, `both selects and bans ${printable(body)}`);
  }
  return (path) =>
    [...positive.values()].some((one) => one.test(path)) &&
    ![...negative.values()].some((one) => one.test(path));
}

function sourceOf(body: ByteString, isNegative: boolean, index: number): string {
  const isAbsolute = body.startsWith('/');
  const elements = body.split('/').filter((element) => element !== '');
  if (elements.length === 0) throw malformed(index, 'names no directory');
  const joined = elements.map((element) => elementSource(element, isNegative, index)).join('/');
  return (isAbsolute ? '/' : '') + joined;
}

function elementSource(element: ByteString, isNegative: boolean, index: number): string {
  let source = '';
  for (let at = 0; at < element.length; at++) {
    const char = element.charAt(at);
    if (char === '*') {
      // Two in a row match what one does, and take much longer to find that they don't.
      if (element.charAt(at - 1) !== '*' || at === 0) source += isNegative ? '.*' : '[^/]*';
    } else if (char === '?') source += '[^/]';
    else if (char === '\\') {
      const next = element.charAt(++at);
      if (next === '' || !'*?\\'.includes(next)) throw malformed(index, 'has a wrong escape');
      source += `\\${next}`;
    } else source += char.replace(/[.+^${}()|[\]]/, '\\$&');
  }
  return source;
}

function malformed(index: number, what: string): PinfsError {
  return new PinfsError('DIRTAB_MALFORMED', `line ${index + 1} of ${dirtabFile} ${what}`);
}
