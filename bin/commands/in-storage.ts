import type { OptionValues } from '../../lib/options/option.js';
import type { Storage } from '../../lib/publish/storage/storage.js';
import { runAction } from './failures.js';
import type { OutputFlags } from './options.js';
import type { storageOptions } from './repo-options.js';

export type StorageFlags = OutputFlags & OptionValues<typeof storageOptions>;

/** Opens the storage, locks it where something is to be written, runs the body, closes. */
export async function inStorage(
  flags: StorageFlags,
  how: 'write' | 'read',
  body: (storage: Storage) => Promise<void>,
): Promise<void> {
  await runAction(flags, () => holding(flags.storage, how, body));
}

/** The same within a command. @throws PinfsError what opening, locking and the body throw */
export async function holding(
  place: string,
  how: 'write' | 'read',
  body: (storage: Storage) => Promise<void>,
): Promise<void> {
  const { openStorage } = await import('../../lib/publish/storage/open.js');
  const storage = await openStorage(place);
  try {
    const release = how === 'write' ? await storage.lock() : undefined;
    try {
      await body(storage);
    } finally {
      await release?.();
    }
  } finally {
    await storage.close();
  }
}
