import type { ByteString } from '../../lib/format/bytes.js';

/**
 * Whether a name matches a pattern as a whole: `*` is any bytes, `?` any one, and all else is itself.
 * Only the last `*` is ever tried again: what a former one could give up, that one can take as well.
 * So it takes at most the square of the name's length, where a regular expression may try all ways.
 */
export function globMatches(pattern: ByteString, name: ByteString): boolean {
  let at = 0;
  let inPattern = 0;
  // Behind the last `*`, and where in the name what follows it is tried.
  let behindStar = -1;
  let retry = 0;
  while (at < name.length) {
    const expected = pattern[inPattern];
    if (expected === '*') {
      inPattern += 1;
      behindStar = inPattern;
      retry = at;
    } else if (expected === '?' || expected === name[at]) {
      inPattern += 1;
      at += 1;
    } else if (behindStar >= 0) {
      retry += 1;
      at = retry;
      inPattern = behindStar;
    } else {
      return false;
    }
  }
  while (pattern[inPattern] === '*') inPattern += 1;
  return inPattern === pattern.length;
}
