import { toBytes, type ByteString } from '../../format/bytes.js';

const most = 255;

/**
 * Extended attributes as the column `xattr` has them (docs/format.md, 5.9).
 * @returns undefined where there are none, or the format can't express them: more than 255, or a name or value of more bytes.
 */
export function xattrBlob(xattrs: ReadonlyMap<ByteString, Buffer>): Buffer | undefined {
  if (xattrs.size === 0 || xattrs.size > most) return undefined;
  const parts: Buffer[] = [Buffer.from([1, xattrs.size])];
  for (const [key, value] of [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (key.length === 0 || key.length > most || value.length > most) return undefined;
    parts.push(Buffer.from([key.length, value.length]), toBytes(key), value);
  }
  return Buffer.concat(parts);
}
