import { zlibCodec } from '../../format/compression.js';
import { PinfsError } from '../../format/errors.js';
import { hashBytes, objectPath, objectText, type ObjectName } from '../../format/hash.js';
import type { Storage } from '../storage/storage.js';

// What no catalog, history or certificate comes near; what is stored is smaller.
const plainBytesMax = 2 ** 30;

/** The plain bytes of a compressed object of a storage, its hash checked. @throws PinfsError OBJECT_MISSING, OBJECT_HASH_MISMATCH, OBJECT_NOT_ZLIB */
export async function readObject(storage: Storage, object: ObjectName): Promise<Buffer> {
  const stored = (await storage.read(objectPath(object), plainBytesMax))?.bytes;
  const name = `the object ${objectText(object)} of ${storage.name}`;
  const advice = 'See what else is missing or damaged with: pinfs repo check.';
  if (stored === undefined)
    throw new PinfsError('OBJECT_MISSING', `${name} is missing`, { advice });
  if (hashBytes(object.hash.algorithm, stored).text !== object.hash.text)
    throw new PinfsError('OBJECT_HASH_MISMATCH', `${name} is damaged`, { advice });
  const unpacked = zlibCodec.unpack(stored, plainBytesMax, false);
  if (unpacked.kind !== 'done')
    throw new PinfsError('OBJECT_NOT_ZLIB', `${name} can't be unpacked`, { advice });
  return unpacked.plain;
}
