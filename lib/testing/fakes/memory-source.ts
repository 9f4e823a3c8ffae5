import { PinfsError } from '../../format/errors.js';
import { hashBytes, objectPath, type HashAlgorithm, type ObjectKind } from '../../format/hash.js';
import type { Source, SourceRequest } from '../../source/source.js';
import { pack, type Compression } from '../../format/compression.js';
import type { Want } from '../../store/want.js';

export interface MemorySource extends Source {
  /** What is served, by path; tests change it as they like. */
  readonly files: Map<string, Buffer>;
  /** Each request that was made. */
  readonly requests: {
    readonly path: string;
    readonly limit: number;
    readonly request: SourceRequest;
  }[];
  /** Called before each answer; may wait or throw. */
  before: (path: string, request: SourceRequest) => Promise<void> | void;
  /** Publishes an object and gives the want for it. */
  put(plain: Buffer, options?: PutOptions): Want;
}

export interface PutOptions {
  readonly compression?: Compression;
  readonly algorithm?: HashAlgorithm;
  readonly kind?: ObjectKind;
  readonly path?: string;
}

/** A want for stored bytes, and where they lie. */
export function wantFor(
  stored: Buffer,
  size: Want['size'],
  { compression = 'zlib', algorithm = 'sha1', kind = 'data', path = '/file' }: PutOptions = {},
): Want {
  const object = { hash: hashBytes(algorithm, stored), kind };
  return { object, compression, size, path };
}

/** A source in memory, bounded as a real one is. */
export function memorySource(): MemorySource {
  const files = new Map<string, Buffer>();
  const requests: MemorySource['requests'] = [];
  const traffic = { requests: 0, bytes: 0, failures: 0 };
  const source: MemorySource = {
    label: 'memory',
    files,
    requests,
    traffic,
    before: () => undefined,
    async get(path, limit, request = {}) {
      requests.push({ path, limit, request });
      traffic.requests++;
      await source.before(path, request);
      if (request.signal?.aborted === true) throw new PinfsError('INTERRUPTED', 'interrupted');
      const whole = files.get(path);
      if (whole === undefined) throw new PinfsError('OBJECT_MISSING', `${path} is not there`);
      const { range } = request;
      const bytes =
        range === undefined ? whole : whole.subarray(range.offset, range.offset + range.length);
      if (bytes.length > limit) throw new PinfsError('OBJECT_TOO_LARGE', `${path} is too large`);
      return bytes;
    },
    put(plain, options = {}) {
      const stored = pack(plain, options.compression ?? 'zlib');
      const want = wantFor(stored, { kind: 'exact', bytes: plain.length }, options);
      files.set(objectPath(want.object), stored);
      return want;
    },
    close: () => Promise.resolve(),
  };
  return source;
}
