import { fromBytes, type ByteString } from './bytes.js';

/** The longest blob that the format can express: 255 attributes with names and values of 255 bytes. */
export const xattrBlobLimit = 2 + 255 * (2 + 255 + 255);

/**
 * Reads the column `xattr` (docs/format.md, 5.9). Like the reference, any inconsistency drops the
 * whole blob: undefined means that there are no attributes.
 */
export function parseXattrs(blob: Uint8Array): ReadonlyMap<ByteString, Buffer> | undefined {
  const count = blob[1];
  if (blob[0] !== 1 || count === undefined || count === 0) return undefined;
  const attributes = new Map<ByteString, Buffer>();
  let position = 2;
  for (let i = 0; i < count; i++) {
    const keyLength = blob[position];
    const valueLength = blob[position + 1];
    if (keyLength === undefined || valueLength === undefined || keyLength === 0) return undefined;
    const keyEnd = position + 2 + keyLength;
    const end = keyEnd + valueLength;
    if (end > blob.length) return undefined;
    const key = fromBytes(blob.subarray(position + 2, keyEnd));
    if (key.includes('\0')) return undefined;
    attributes.set(key, Buffer.from(blob.subarray(keyEnd, end)));
    position = end;
  }
  return attributes;
}
