import { pack, type Compression } from '../format/compression.js';
import {
  hashBytes,
  objectPath,
  type ContentHash,
  type HashAlgorithm,
  type ObjectKind,
} from '../format/hash.js';

/** The objects of a repository that is being made, by path. */
export interface Objects {
  readonly algorithm: HashAlgorithm;
  readonly files: Map<string, Buffer>;
  /** Stores plain bytes as an object. @returns its hash. */
  add(
    kind: ObjectKind,
    plain: Buffer,
    compression?: Compression,
    change?: (stored: Buffer) => Buffer,
  ): ContentHash;
}

export function makeObjects(algorithm: HashAlgorithm, files: Map<string, Buffer>): Objects {
  // Large trees repeat few contents; the same Buffer is compressed and hashed once.
  const known = new WeakMap<Buffer, Map<string, ContentHash>>();
  return {
    algorithm,
    files,
    add(kind, plain, compression = 'zlib', change) {
      const key = `${kind} ${compression}`;
      const before = known.get(plain)?.get(key);
      if (before !== undefined && change === undefined) return before;
      let stored = pack(plain, compression);
      if (change !== undefined) stored = change(stored);
      const hash = hashBytes(algorithm, stored);
      files.set(objectPath({ hash, kind }), stored);
      const hashes = known.get(plain) ?? new Map<string, ContentHash>();
      known.set(plain, hashes.set(key, hash));
      return hash;
    },
  };
}
