import { PinfsError } from '../format/errors.js';
import { printable, toBytes, type ByteString } from '../format/bytes.js';

/**
 * The components of a path below a source (a byte string; leading slashes don't count).
 * @throws PinfsError OBJECT_MISSING for a path that could lead out of the source or that no file can have.
 */
export function pathComponents(path: ByteString): ByteString[] {
  const components = path.replace(/^\/+/, '').split('/');
  for (const part of components) {
    if (part === '' || part === '.' || part === '..' || part.includes('\0')) {
      throw new PinfsError('OBJECT_MISSING', `${printable(path)} is not a path inside a source`);
    }
  }
  return components;
}

// What is left as it is in a URL (docs/format.md, 1); everything else is encoded byte by byte.
const plain = /[^0-9A-Za-z/:.@+\-_~[\],]/;

// As nearly all that is asked for.
const ofObject = /^data\/[0-9a-f]{2}\/[0-9a-f]{38}[A-Z]?$/;

/** A path below a source as part of a URL, without a leading slash. */
export function escapePath(path: ByteString): string {
  if (ofObject.test(path)) return path;
  const joined = pathComponents(path).join('/');
  if (!plain.test(joined)) return joined;
  let escaped = '';
  for (const byte of toBytes(joined)) {
    const char = String.fromCharCode(byte);
    escaped += plain.test(char) ? `%${byte.toString(16).toUpperCase().padStart(2, '0')}` : char;
  }
  return escaped;
}
