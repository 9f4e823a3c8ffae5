import { resolve } from 'node:path';
import { quoted } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import type { Variables } from '../../machine/places.js';
import { openDirectoryStorage } from './directory.js';
import type { Storage } from './storage.js';

/**
 * Opens what `--storage` names: a directory, which is made where it is lacking, or `s3://bucket/prefix`.
 * @throws PinfsError USAGE, STORAGE_FAILED
 */
export async function openStorage(
  text: string,
  variables: Variables = process.env,
): Promise<Storage> {
  if (text.startsWith('s3://')) {
    const { bucketSettings } = await import('./s3/settings.js');
    const { openS3Storage } = await import('./s3/s3.js');
    return openS3Storage(bucketSettings(text, variables));
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text) || text === '') {
    throw new PinfsError('USAGE', `${quoted(text)} is no storage`, {
      advice: 'Name a directory, or s3://bucket/prefix.',
    });
  }
  return await openDirectoryStorage(resolve(text));
}
