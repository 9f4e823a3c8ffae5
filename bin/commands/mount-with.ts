import { PinfsError } from '../../lib/format/errors.js';
import { printableText } from '../../lib/format/bytes.js';

/** One more mount of the same process. */
export interface MountWith {
  readonly source: string;
  readonly mountpoint: string;
}

/** Reads `SOURCE[@PIN]=DIR`: a directory has no `=` in its name, a source may. @throws PinfsError USAGE */
export function parseWith(text: string): MountWith {
  const at = text.lastIndexOf('=');
  const source = text.slice(0, at);
  const mountpoint = text.slice(at + 1);
  if (at > 0 && mountpoint !== '') return { source, mountpoint };
  throw new PinfsError('USAGE', `--with ${printableText(text)} has no source or no directory`, {
    advice: 'Write --with SOURCE@PIN=DIR.',
  });
}

/** What can be for one mount alone: an address, or a file that it writes. The others have a log of their own. */
export const forOneMount = ['metrics', 'public', 'trace', 'record', 'learn', 'log', 'o'] as const;
