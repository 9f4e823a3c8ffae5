import type { ByteString } from '../../format/bytes.js';
import type { Compression } from '../../format/compression.js';
import type { ContentHash, HashAlgorithm, ObjectKind } from '../../format/hash.js';
import type { ObjectFolder } from '../storage/storage.js';

/** Which sizes the chunks of a file may have, in bytes. */
export interface ChunkSizes {
  readonly min: number;
  readonly average: number;
  readonly max: number;
}

/** What the reference takes unless it is told otherwise. */
export const defaultChunkSizes: ChunkSizes = {
  min: 4 * 2 ** 20,
  average: 8 * 2 ** 20,
  max: 16 * 2 ** 20,
};

/** Where the content of a file is to be had. */
export type ContentInput =
  /**
   * A file of this machine; or `size` bytes of it from `offset` on, as of a member of an archive. `identity`: what
   * `identityOf` said when its other attributes were taken; content of another state is refused.
   */
  | {
      readonly file: ByteString;
      readonly offset?: number;
      readonly size?: number;
      readonly identity?: string;
    }
  | { readonly bytes: Buffer }
  | { readonly stream: AsyncIterable<Buffer>; readonly size: number };

export interface StoredChunk {
  readonly offset: number;
  readonly size: number;
  readonly hash: ContentHash;
}

/** What a row of a catalog says of the content of a file. */
export interface StoredContent {
  /** Of the plain bytes. */
  readonly size: number;
  /** That of the whole; undefined where only chunks are kept. */
  readonly hash: ContentHash | undefined;
  /** In the order of their offsets; none for a file that is kept as a whole. */
  readonly chunks: readonly StoredChunk[];
  readonly algorithm: HashAlgorithm;
  readonly compression: Compression;
  /** Nothing of it lies in the storage: clients take it from another server. */
  readonly external: boolean;
}

/** The part of a storage that objects need; a run that changes nothing has one that holds nothing and forgets all. */
export interface ObjectStorage {
  /** For files that are under way to it; undefined: it has no place for them. */
  readonly aside?: string | undefined;
  /** Where the threads put objects themselves; undefined: they are handed to `write`. */
  readonly folder?: ObjectFolder | undefined;
  has(path: string): Promise<boolean>;
  write(
    path: string,
    content: Buffer | { readonly file: string; readonly size: number },
    only: 'absent',
  ): Promise<'written' | 'refused'>;
}

/** How the content of files is stored. */
export interface ContentOptions {
  readonly algorithm: HashAlgorithm;
  readonly compression: Compression;
  /** Undefined: no file is chunked. */
  readonly chunkSizes?: ChunkSizes | undefined;
  /** Chunked files get an object of the whole as well. */
  readonly wholeFileHash?: boolean;
  /** Content is named and not stored; it is taken plain. */
  readonly external?: boolean;
}

/** What a writer has done up to now; it counts on. */
export interface WriterCounts {
  readonly files: number;
  /** Plain bytes that were read. */
  readonly bytes: number;
  /** The same, counted chunk by chunk. */
  readonly packedBytes: number;
  /** Objects that were not there before, and their bytes as they are stored. */
  readonly newObjects: number;
  readonly newBytes: number;
  /** Objects that were there. */
  readonly knownObjects: number;
}

/** Makes objects of bytes, and brings them into a storage that has not got them. */
export interface ObjectWriter {
  readonly counts: WriterCounts;
  /**
   * Stores the content of one file. Many may be under way at once.
   * @throws PinfsError INPUT_CHANGED where a file is written to while it is read, INPUT_UNREADABLE
   */
  store(input: ContentInput): Promise<StoredContent>;
  /** One object as it is: catalog, history, certificate, metainfo; by default in a zlib stream. */
  storeBytes(kind: ObjectKind, plain: Buffer, compression?: Compression): Promise<ContentHash>;
  /** Whether all objects of a content lie in the storage. */
  holds(content: StoredContent): Promise<boolean>;
  /** Ends its threads. */
  close(): Promise<void>;
}
