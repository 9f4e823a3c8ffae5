import { directorySource } from './directory.js';
import { httpSource, type HttpOptions } from './http/http.js';
import type { Source } from './source.js';
import { isUrl } from './source-pin.js';

/**
 * Opens a source by its URL or directory. Nothing is fetched yet.
 * @throws PinfsError USAGE (no URL of a repository), SOURCE_UNREACHABLE (no such directory).
 */
export function openSource(text: string, options: HttpOptions = {}): Source {
  return isUrl(text) ? httpSource(text, options) : directorySource(text);
}
