import { mkdtempSync, rmSync } from 'node:fs';
import { lstat, open, unlink } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { printable, toBytes } from '../../format/bytes.js';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError } from '../../format/errors.js';
import { objectPath, type ContentHash, type ObjectKind } from '../../format/hash.js';
import { checkChunkSizes, cutsOf } from './chunker.js';
import type {
  ContentInput,
  ContentOptions,
  ObjectStorage,
  ObjectWriter,
  StoredChunk,
  StoredContent,
} from './content.js';
import { Changed, identityOf, Unreadable, type JobInput, type Packed } from './job.js';
import { makeSlots } from './slots.js';
import { Unwritable, type PlacedObject } from './place.js';
import { jobsOfThreadMax, makeThreads, type ObjectThreads } from './threads.js';

export interface WriterOptions extends ContentOptions {
  /** How many (default: as many as there are cores). */
  readonly threads?: number;
  /** Where objects lie that are too large for memory, until they are stored (default: that of the storage, or of the system). */
  readonly temporary?: string;
}

// A member of an archive that is smaller is kept in memory on its way.
const streamBytesMax = 2 ** 20;
const triesMax = 3;

/** Makes objects in threads, and brings them into a storage. */
export function makeObjectWriter(storage: ObjectStorage, options: WriterOptions): ObjectWriter {
  if (options.chunkSizes !== undefined) checkChunkSizes(options.chunkSizes);
  const count = options.threads ?? availableParallelism();
  const { folder } = storage;
  const directory = mkdtempSync(
    join(options.temporary ?? storage.aside ?? tmpdir(), 'pinfs-objects-'),
  );
  const threads = makeThreads(count);
  const counts = {
    files: 0,
    bytes: 0,
    packedBytes: 0,
    newObjects: 0,
    newBytes: 0,
    knownObjects: 0,
  };
  let numbers = 0;
  const desk: Desk = {
    storage,
    options: options.external === true ? { ...options, compression: 'none' } : options,
    threads,
    counts,
    // Some are written to the storage while others are made; where the threads do it, nothing waits here.
    slots: makeSlots(folder === undefined ? count * 3 + 2 : count * (jobsOfThreadMax + 1)),
    underWay: new Map(),
    justPlaced: new Set(),
    temporaryName: () => join(directory, String(numbers++)),
  };
  return {
    counts,
    async store(input) {
      const stored = await storeInput(desk, input);
      counts.files++;
      counts.bytes += stored.size;
      return stored;
    },
    async storeBytes(kind, plain, compression = 'zlib') {
      return put(desk, { kind, input: { bytes: plain }, compression, isKept: true });
    },
    async holds(content) {
      for (const path of objectPaths(content)) if (!(await storage.has(path))) return false;
      return true;
    },
    async close() {
      await threads.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What the writing of each file needs. */
interface Desk {
  readonly storage: ObjectStorage;
  readonly options: ContentOptions;
  readonly threads: ObjectThreads;
  readonly counts: {
    packedBytes: number;
    newObjects: number;
    newBytes: number;
    knownObjects: number;
  };
  readonly slots: ReturnType<typeof makeSlots>;
  /** Objects that are being written, by path: the same content often comes many times in a row. */
  readonly underWay: Map<string, Promise<boolean>>;
  /** Paths that threads have just written: two that make the same object at once both say that it is new. */
  readonly justPlaced: Set<string>;
  readonly temporaryName: () => string;
}

/** The paths of all objects that a content lies in. */
function objectPaths({ external, hash, chunks }: StoredContent): string[] {
  if (external) return [];
  return [
    ...(hash === undefined ? [] : [objectPath({ hash, kind: 'data' })]),
    ...chunks.map((chunk) => objectPath({ hash: chunk.hash, kind: 'chunk' })),
  ];
}

async function storeInput(desk: Desk, input: ContentInput): Promise<StoredContent> {
  if ('bytes' in input) return storeContent(desk, { bytes: input.bytes });
  if ('stream' in input) return storeStream(desk, input);
  const { file, offset = 0, identity } = input;
  for (let tries = 1; ; tries++) {
    try {
      const known = identity === undefined ? await lookAt(file) : undefined;
      const size = input.size ?? known?.size ?? (await lookAt(file)).size;
      return await storeContent(desk, {
        file,
        offset,
        size,
        identity: identity ?? known?.identity,
      });
    } catch (thrown) {
      if (thrown instanceof Unreadable) {
        throw new PinfsError('INPUT_UNREADABLE', `${printable(file)}: ${thrown.reason}`, {
          advice:
            'Let it be read (ls -l), or leave it out; what was published before is as it was.',
        });
      }
      if (!(thrown instanceof Changed)) throw thrown;
      // Who gave an identity has attributes that go with it, and has to look again.
      if (identity === undefined && tries < triesMax) continue;
      throw new PinfsError('INPUT_CHANGED', `${printable(file)} changes while it is read`);
    }
  }
}

async function lookAt(file: string): Promise<{ size: number; identity: string }> {
  try {
    const stats = await lstat(toBytes(file), { bigint: true });
    if (!stats.isFile()) throw new Unreadable('it is no file');
    return { size: Number(stats.size), identity: identityOf(stats) };
  } catch (thrown) {
    throw thrown instanceof Unreadable ? thrown : new Unreadable(fileFault(thrown, 'read').why);
  }
}

type StreamInput = Extract<ContentInput, { stream: unknown }>;

/** Takes a stream into memory, or a large one to the disk, so that its chunks can be made by several threads. */
async function storeStream(desk: Desk, { stream, size }: StreamInput): Promise<StoredContent> {
  if (size <= streamBytesMax) {
    const parts: Buffer[] = [];
    let length = 0;
    for await (const part of stream) {
      length += part.length;
      if (length > size) break;
      parts.push(part);
    }
    checkLength(length, size);
    return storeContent(desk, { bytes: Buffer.concat(parts) });
  }
  const path = desk.temporaryName();
  const handle = await open(path, 'wx', 0o600);
  try {
    let length = 0;
    for await (const part of stream) {
      length += part.length;
      if (length > size) break;
      await handle.writeFile(part);
    }
    checkLength(length, size);
    const file = Buffer.from(path).toString('latin1');
    return await storeContent(desk, { file, offset: 0, size, identity: undefined });
  } finally {
    await handle.close();
    await unlink(path);
  }
}

function checkLength(length: number, size: number): void {
  if (length === size) return;
  throw new PinfsError('INPUT_UNREADABLE', `a file of ${size} bytes has ${length} or more`);
}

/** Bytes that can be read more than once. */
async function storeContent(desk: Desk, input: JobInput): Promise<StoredContent> {
  const {
    algorithm,
    compression,
    chunkSizes,
    wholeFileHash = false,
    external = false,
  } = desk.options;
  const size = 'bytes' in input ? input.bytes.length : input.size;
  const mayBeCut = chunkSizes !== undefined && size > chunkSizes.min;
  const whole = (): Promise<ContentHash> =>
    put(desk, { kind: 'data', input, compression, isKept: !external });
  const early = mayBeCut && wholeFileHash ? whole() : undefined;
  // It is waited for below.
  early?.catch(() => undefined);
  const chunks = mayBeCut ? await storeChunks(desk, input, size) : [];
  const hash = await (early ?? (chunks.length === 0 ? whole() : undefined));
  if (chunks.length === 0) desk.counts.packedBytes += size;
  return { size, hash, chunks, algorithm, compression, external };
}

/** @returns none where no cut lies in the file. */
async function storeChunks(desk: Desk, input: JobInput, size: number): Promise<StoredChunk[]> {
  const { compression, external = false } = desk.options;
  const chunks: Promise<StoredChunk>[] = [];
  const failed: unknown[] = [];
  const chunk = async (offset: number, end: number): Promise<StoredChunk> => {
    const part: JobInput =
      'bytes' in input
        ? { bytes: input.bytes.subarray(offset, end) }
        : { ...input, offset: input.offset + offset, size: end - offset };
    const hash = await put(desk, { kind: 'chunk', input: part, compression, isKept: !external });
    desk.counts.packedBytes += end - offset;
    return { offset, size: end - offset, hash };
  };
  const begin = (offset: number, end: number): void => {
    const made = chunk(offset, end);
    made.catch((thrown: unknown) => void failed.push(thrown));
    chunks.push(made);
  };
  let start = 0;
  for await (const cut of cutsFor(desk, input)) {
    // The rest of a file that changed meanwhile need not be read.
    if (failed.length > 0) break;
    begin(start, cut);
    start = cut;
    // So many wait that all threads are busy for a while.
    await desk.slots.quiet();
  }
  if (start > 0) begin(start, size);
  return Promise.all(chunks);
}

async function* cutsFor(desk: Desk, input: JobInput): AsyncGenerator<number> {
  const sizes = desk.options.chunkSizes;
  if (sizes === undefined) return;
  if ('bytes' in input) {
    yield* cutsOf(input.bytes, sizes);
    return;
  }
  for (let start = 0; ;) {
    const { cuts, isLast } = await desk.threads.cut({ kind: 'cut', input, sizes, start });
    yield* cuts;
    start = cuts.at(-1) ?? start;
    if (isLast) return;
  }
}

interface ObjectInput {
  readonly kind: ObjectKind;
  readonly input: JobInput;
  readonly compression: ContentOptions['compression'];
  readonly isKept: boolean;
}

/** Makes one object, and writes it where it is not there. */
async function put(
  desk: Desk,
  { kind, input, compression, isKept }: ObjectInput,
): Promise<ContentHash> {
  const release = await desk.slots.take();
  try {
    const { folder } = desk.storage;
    if (isKept) await folder?.begin();
    const { hash, packed } = await desk.threads.pack({
      kind: 'pack',
      input,
      algorithm: desk.options.algorithm,
      compression,
      temporary: isKept ? desk.temporaryName() : undefined,
      place: isKept && folder !== undefined ? { kind, root: folder.root } : undefined,
    });
    const path = objectPath({ hash, kind });
    if (packed !== undefined && 'isNew' in packed) countPlaced(desk, path, packed);
    else if (packed !== undefined) await write(desk, path, packed);
    return hash;
  } catch (thrown) {
    if (!(thrown instanceof Unwritable)) throw thrown;
    throw desk.storage.folder?.failed('data', thrown) ?? thrown;
  } finally {
    release();
  }
}

// More than are under way at once.
const justPlacedMax = 10_000;

function countPlaced({ counts, justPlaced }: Desk, path: string, placed: PlacedObject): void {
  if (!placed.isNew || justPlaced.has(path)) {
    counts.knownObjects++;
    return;
  }
  counts.newObjects++;
  counts.newBytes += placed.size;
  if (justPlaced.size >= justPlacedMax) justPlaced.clear();
  justPlaced.add(path);
}

async function write(desk: Desk, path: string, packed: Packed): Promise<void> {
  const { underWay, counts } = desk;
  try {
    let writing = underWay.get(path);
    const isFirst = writing === undefined;
    writing ??= writeAbsent(desk.storage, path, packed);
    if (isFirst) underWay.set(path, writing);
    try {
      if ((await writing) && isFirst) {
        counts.newObjects++;
        counts.newBytes += packed instanceof Uint8Array ? packed.length : packed.size;
      } else {
        counts.knownObjects++;
      }
    } finally {
      if (isFirst) underWay.delete(path);
    }
  } finally {
    // A storage may have moved it to its place.
    if (!(packed instanceof Uint8Array)) await unlink(packed.file).catch(() => undefined);
  }
}

async function writeAbsent(storage: ObjectStorage, path: string, packed: Packed): Promise<boolean> {
  if (await storage.has(path)) return false;
  const content =
    packed instanceof Uint8Array
      ? Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength)
      : packed;
  return (await storage.write(path, content, 'absent')) === 'written';
}
