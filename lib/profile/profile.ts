import type { ByteString } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';

/**
 * What a job reads, in the order of first use, bound to paths (docs/profile-format.md). A hint, and nothing else: whoever
 * uses it looks each path up in the tree that he has verified.
 */
export interface Profile {
  readonly header: ProfileHeader;
  readonly uses: readonly FirstUse[];
}

export interface ProfileHeader {
  /** Name of the repository. */
  readonly repository: string;
  /** Of the snapshot that it was learned from. */
  readonly rootHash: string;
  /** ISO 8601 UTC. */
  readonly made: string;
  /** What wrote it, such as `pinfs 0.2.0`. */
  readonly writer: string;
}

/** The first use of an object. */
export interface FirstUse {
  /** Of the file, or of the directory where a nested catalog begins: `/a/b`; the root is empty. */
  readonly path: ByteString;
  readonly kind: 'file' | 'catalog';
  /** 0: the file is one object; else it is the n-th of its chunks that was used. */
  readonly chunk: number;
  /** Whole milliseconds since the use before. */
  readonly gapMs: number;
  /** The first bytes of its content hash as hex: tells what changed, and which chunk it is. */
  readonly fingerprint: string;
}

/** What a profile may be at most. */
export const profileBounds = {
  /** Bytes of the file, and of what it inflates to. */
  storedBytes: 32 * 2 ** 20,
  plainBytes: 128 * 2 ** 20,
  uses: 2 ** 20,
  directories: 2 ** 18,
  pathBytes: 4095,
  nameBytes: 255,
  headerBytes: 4096,
  /** Between two uses: a month. */
  gapMs: 31 * 24 * 3600 * 1000,
} as const;

export const fingerprintBytes = 8;

/** @returns the error of a file that is no profile, or a damaged one. */
export function malformedProfile(what: string): PinfsError {
  return new PinfsError('PROFILE_MALFORMED', `this is no profile of pinfs: ${what}`, {
    advice: 'Give a file that `pinfs profile make` wrote.',
  });
}

/** A path as two parts; the name of the root is empty. */
export function splitPath(path: ByteString): { directory: ByteString; name: ByteString } {
  const slash = path.lastIndexOf('/');
  return { directory: path.slice(0, Math.max(0, slash)), name: path.slice(slash + 1) };
}
