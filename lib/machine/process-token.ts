import { randomBytes } from 'node:crypto';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';

const name = 'pinfs-process-token';

/**
 * Random text that is the same in all threads of this process, and that nobody else can guess. A thread has what the one
 * that started it had by then: ask for it before a thread is started that needs it.
 */
export function processToken(): string {
  const known = getEnvironmentData(name);
  if (typeof known === 'string') return known;
  const made = randomBytes(12).toString('hex');
  setEnvironmentData(name, made);
  return made;
}
