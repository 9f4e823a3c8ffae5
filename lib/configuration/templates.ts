import type { ByteString } from '../format/bytes.js';

/** A value with `@fqrn@` and `@org@` (the first label of the name) replaced; other words between `@` stay. */
export function withTemplates(value: ByteString, fqrn: string): ByteString {
  const org = fqrn.split('.')[0] ?? '';
  return fqrn === ''
    ? value
    : value.replaceAll('@fqrn@', () => fqrn).replaceAll('@org@', () => org);
}
