import { resolve } from 'node:path';
import { openDirectoryStorage } from './directory.js';
import type { Storage } from './storage.js';

/**
 * Opens what `--storage` names: a directory, which is made where it is lacking.
 * @throws PinfsError USAGE, STORAGE_FAILED
 */
export async function openStorage(text: string): Promise<Storage> {
  return await openDirectoryStorage(resolve(text));
}
