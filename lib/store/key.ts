import { isObjectText, objectText, type ObjectName } from '../format/hash.js';

/**
 * The name of an object as kept: the text of its name, and `.plain` where the stored bytes are not compressed. Its own
 * type, since files are named after it: what comes from outside becomes one by `parseKey` alone.
 */
export type ObjectKey = string & { readonly isKey: true };

const plainSuffix = '.plain';

/** One key for each object as kept: the same stored bytes read with another compression are another object. */
export function keyOf(object: ObjectName, compressed: boolean): ObjectKey {
  return (objectText(object) + (compressed ? '' : plainSuffix)) as ObjectKey;
}

/** A key from a record, or from the name of a file; undefined for anything else. */
export function parseKey(text: string): ObjectKey | undefined {
  const name = text.endsWith(plainSuffix) ? text.slice(0, -plainSuffix.length) : text;
  return isObjectText(name) ? (text as ObjectKey) : undefined;
}
