import { setMaxListeners } from 'node:events';

/**
 * The end of something that many wait for at once, such as all fetches of a repository: Node takes more than
 * ten listeners of one signal for a leak, and says so on stderr.
 */
export function openEnding(): AbortController {
  const ending = new AbortController();
  setMaxListeners(0, ending.signal);
  return ending;
}
