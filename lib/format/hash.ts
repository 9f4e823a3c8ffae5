import { createHash, hash } from 'node:crypto';

/**
 * Content hashes and object names (docs/format.md, 2.1 to 2.3).
 * A hash is taken over the stored (normally compressed) bytes of an object.
 */
export type HashAlgorithm = 'sha1' | 'rmd160' | 'shake128';

/** What an object is; the letter ends its name on a server. */
export type ObjectKind = 'data' | 'chunk' | 'catalog' | 'history' | 'certificate' | 'metainfo';

export interface ContentHash {
  readonly algorithm: HashAlgorithm;
  /** Canonical text: 40 lower-case hex digits and, unless SHA-1, the algorithm's tail. Equality is equality of this. */
  readonly text: string;
}

export interface ObjectName {
  readonly hash: ContentHash;
  readonly kind: ObjectKind;
}

const tails: Record<HashAlgorithm, string> = { sha1: '', rmd160: '-rmd160', shake128: '-shake128' };

const opensslNames = { sha1: 'sha1', rmd160: 'ripemd160' } as const;

const suffixes: Record<ObjectKind, string> = {
  data: '',
  chunk: 'P',
  catalog: 'C',
  history: 'H',
  certificate: 'X',
  metainfo: 'M',
};

const hashText = /^[0-9a-f]{40}(?:-(rmd160|shake128))?$/;

/** Reads the text form of a hash; undefined if it is not exactly one. */
export function parseHash(text: string): ContentHash | undefined {
  const match = hashText.exec(text);
  if (match === null) return undefined;
  const tail = match[1];
  return { algorithm: tail === 'rmd160' || tail === 'shake128' ? tail : 'sha1', text };
}

/** The hash with these 20 digest bytes; undefined if their number is another. */
export function hashFromDigest(
  algorithm: HashAlgorithm,
  digest: Uint8Array,
): ContentHash | undefined {
  if (digest.length !== 20) return undefined;
  return { algorithm, text: Buffer.from(digest).toString('hex') + tails[algorithm] };
}

/** The hash of stored bytes. */
export function hashBytes(algorithm: HashAlgorithm, bytes: Uint8Array): ContentHash {
  if (algorithm !== 'shake128') {
    // In one call, which takes two thirds of the time that three take for a small object.
    return { algorithm, text: hash(opensslNames[algorithm], bytes, 'hex') + tails[algorithm] };
  }
  const hasher = hasherOf(algorithm);
  hasher.update(bytes);
  return hasher.digest();
}

/** Hashes stored bytes that come in pieces. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  digest(): ContentHash;
}

export function hasherOf(algorithm: HashAlgorithm): Hasher {
  const hasher =
    algorithm === 'shake128'
      ? createHash('shake128', { outputLength: 20 })
      : createHash(opensslNames[algorithm]);
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => ({ algorithm, text: hasher.digest('hex') + tails[algorithm] }),
  };
}

/** Text of an object's name: hash with algorithm tail, then the letter of its kind. */
export function objectText(object: ObjectName): string {
  return object.hash.text + suffixes[object.kind];
}

const objectTextForm = new RegExp(
  `^[0-9a-f]{40}(?:${Object.values(tails).join('|')})[${Object.values(suffixes).join('')}]?$`,
);

/** Whether a text is the name of some object, as `objectText` writes it. */
export function isObjectText(text: string): boolean {
  return objectTextForm.test(text);
}

/** The object of such a text; undefined for anything else. */
export function objectNameOf(text: string): ObjectName | undefined {
  for (const [kind, suffix] of Object.entries(suffixes)) {
    const hash = text.endsWith(suffix)
      ? parseHash(text.slice(0, text.length - suffix.length))
      : undefined;
    // The keys of this record are the kinds.
    if (hash !== undefined) return { hash, kind: kind as ObjectKind };
  }
  return undefined;
}

/** Path of an object below a repository's base URL: `data/ab/cdef…`. */
export function objectPath(object: ObjectName): string {
  const text = objectText(object);
  return `data/${text.slice(0, 2)}/${text.slice(2)}`;
}
