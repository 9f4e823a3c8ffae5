import { PinfsError } from '../format/errors.js';
import { compressions, type Compression } from '../format/compression.js';
import { isObjectText, objectNameOf, objectText, type ObjectName } from '../format/hash.js';

/**
 * The name of an object as kept: the text of its name, and a suffix that says how it is compressed (`.plain`: not). Its own
 * type, since files are named after it: what comes from outside becomes one by `parseKey` alone.
 */
export type ObjectKey = string & { readonly isKey: true };

const suffixes = Object.values(compressions)
  .map(({ keySuffix }) => keySuffix)
  .filter((suffix) => suffix !== '');

/** One key for each object as kept: the same stored bytes read with another compression are another object. */
export function keyOf(object: ObjectName, compression: Compression): ObjectKey {
  return (objectText(object) + compressions[compression].keySuffix) as ObjectKey;
}

/** A key from a record, or from the name of a file; undefined for anything else. */
export function parseKey(text: string): ObjectKey | undefined {
  const suffix = suffixes.find((one) => text.endsWith(one)) ?? '';
  const name = text.slice(0, text.length - suffix.length);
  return isObjectText(name) ? (text as ObjectKey) : undefined;
}

/** What a key is the key of. */
export function partsOfKey(key: ObjectKey): { object: ObjectName; compression: Compression } {
  for (const [name, { keySuffix }] of Object.entries(compressions)) {
    const isIt = keySuffix !== '' && key.endsWith(keySuffix);
    const object = isIt ? objectNameOf(key.slice(0, -keySuffix.length)) : undefined;
    // The keys of this record are the names of compressions.
    if (object !== undefined) return { object, compression: name as Compression };
  }
  const object = objectNameOf(key);
  if (object === undefined) throw new PinfsError('INTERNAL', 'a key is none');
  return { object, compression: 'zlib' };
}
