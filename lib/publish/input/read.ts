import { statSync } from 'node:fs';
import { printable, fromText } from '../../format/bytes.js';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError } from '../../format/errors.js';
import { archiveEntries } from './archive.js';
import { directoryEntries, type InputOptions } from './directory.js';
import type { InputEntry } from './entry.js';

export type { InputOptions } from './directory.js';

/**
 * The entries of a tree with their content stored, each directory before what is in it, names in the order of their
 * bytes. Content is stored ahead of what is asked for, so that all threads have work.
 * @param from a directory, an archive (tar, also packed by gzip, zstd or xz), or `-` for one from the standard input.
 * @throws PinfsError INPUT_UNREADABLE, INPUT_CHANGED, ARCHIVE_MALFORMED
 */
export function readInput(from: string, options: InputOptions): AsyncIterable<InputEntry> {
  return from !== '-' && isDirectory(from)
    ? directoryEntries(from, options)
    : archiveEntries(from, options);
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (thrown) {
    const name = printable(fromText(path));
    const { why, mend } = fileFault(thrown, 'read');
    throw new PinfsError('INPUT_UNREADABLE', `${name}: ${why}`, { advice: mend });
  }
}
