import type { ByteString } from '../format/bytes.js';

/**
 * What was accessed, in which order: a trace of objects (docs/trace-format.md). Columns, so that ten million
 * accesses fit into memory.
 */
export interface Trace {
  readonly header: TraceHeader;
  readonly accessCount: number;
  /** When each access was answered: microseconds since the recording began, never falling. */
  readonly times: Float64Array;
  /** Index into the table of objects. */
  readonly objects: Uint32Array;
  /** Index into `accessOperations`. */
  readonly operations: Uint8Array;
  /** Index into `hitLevels`. */
  readonly levels: Uint8Array;
  /** Microseconds from asking to answer; at most 2^32 - 1. */
  readonly durations: Uint32Array;
  /** First byte read of the plain object. */
  readonly offsets: Float64Array;
  /** Bytes read of it; of a catalog that is loaded all of it, of an open none. */
  readonly lengths: Uint32Array;
  /** Index into `paths`. */
  readonly pathNumbers: Uint32Array;
  /** Index into `processes`. */
  readonly processNumbers: Uint32Array;
  readonly objectTable: ObjectTable;
  /** Paths in the repository, without the leading slash where the publisher has none; [0] is the empty one. */
  readonly paths: readonly ByteString[];
  /** [0] is the one that nobody knows. */
  readonly processes: readonly TraceProcess[];
  /** `cut`: the recording has no end, as behind a kill; what was written until then is whole. */
  readonly end: 'complete' | 'cut';
}

/** What a trace says of itself. */
export interface TraceHeader {
  /** Milliseconds since 1970 (UTC) at the time 0 of the trace. */
  readonly startedAt: number;
  /** Name of the repository; empty: of several, or of none. */
  readonly repository: string;
  readonly rootHash: string;
  /** What was mounted, without credentials, or the file that it was made of. */
  readonly source: string;
  /** Nothing was kept by the kernel: each read of a process is here. */
  readonly isComplete: boolean;
  /** Limit of the cache in bytes; 0: not known. */
  readonly cacheLimit: number;
  /** What wrote it, such as `pinfs 0.2.0`. */
  readonly writer: string;
}

/** Each object once, in order of its first access. */
export interface ObjectTable {
  readonly count: number;
  /** 20 bytes for each: the hash, or the foreign number in 8 bytes (big-endian) and zeros. */
  readonly digests: Uint8Array;
  /** How to read the digest: index into `digestForms`. */
  readonly forms: Uint8Array;
  /** Index into `traceObjectKinds`. */
  readonly kinds: Uint8Array;
  /** 1: stored as it is, not compressed. */
  readonly isPlain: Uint8Array;
  /** Plain bytes; NaN: nobody knew. */
  readonly plainSizes: Float64Array;
  /** Bytes as they travel; NaN: it was not fetched while it was recorded. */
  readonly storedSizes: Float64Array;
}

export interface TraceProcess {
  /** 0: the kernel does not tell. */
  readonly pid: number;
  /** As in /proc/PID/comm. */
  readonly name: ByteString;
}

/** `open`: of a file, reads nothing. `read`: a range of the object. `catalog`: a catalog is opened or decoded. */
export const accessOperations = ['open', 'read', 'catalog'] as const;
export type AccessOperation = (typeof accessOperations)[number];

/**
 * Where it was found. `shelf`: in the cache. `fetched`: whoever asked waited until it came. `ahead`: in the
 * cache, since it was fetched before somebody asked; told at its first use. `none`: nothing was read (open).
 */
export const hitLevels = ['shelf', 'fetched', 'ahead', 'none'] as const;
export type HitLevel = (typeof hitLevels)[number];

/** `foreign`: a number of another tool's trace. */
export const digestForms = ['sha1', 'rmd160', 'shake128', 'foreign'] as const;

export const traceObjectKinds = [
  'data',
  'chunk',
  'catalog',
  'history',
  'certificate',
  'metainfo',
] as const;

/** Bytes that a digest takes. */
export const digestBytes = 20;

/** One access, as it is noted. */
export interface Access {
  /** Microseconds since the recording began. */
  readonly time: number;
  /** Microseconds. */
  readonly duration: number;
  readonly operation: AccessOperation;
  readonly level: HitLevel;
  /** As the cache calls it: the object's name, and `.plain` where it is not compressed; or `foreign:` and 16 hex digits. */
  readonly object: string;
  /** Plain bytes of the object; NaN: not known. */
  readonly plainSize: number;
  readonly offset: number;
  readonly length: number;
  readonly path: ByteString;
  readonly pid: number;
  readonly processName: ByteString;
}
