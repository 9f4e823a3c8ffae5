import type Database from 'better-sqlite3';
import { compressionOfFlags, zlibCodec, type Compression } from '../../format/compression.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import {
  hashBytes,
  hasherOf,
  hashFromDigest,
  objectPath,
  objectText,
  parseHash,
  type HashAlgorithm,
  type ObjectName,
} from '../../format/hash.js';
import { flag, hashFlag } from '../catalogs/catalog-schema.js';
import type { Storage } from '../storage/storage.js';
import { saidCounters, wrongCounters, wrongSubtree, type SaidCounters } from './counters.js';
import { catalogFault, openStoredCatalog } from '../catalogs/stored-catalog.js';

/** Something wrong with what a repository reaches. */
export interface RepositoryProblem {
  /** The object or file. */
  readonly what: string;
  readonly code: PinfsError['code'];
  readonly message: string;
}

/** A walk over all that snapshots reach. */
export interface Walk {
  readonly storage: Storage;
  /** The bytes of each object are read, not only asked for. */
  readonly reads: boolean;
  /** Where what is missing or damaged comes from, as it is stored; its hash is checked here. */
  readonly fetch: ((path: string) => Promise<Buffer>) | undefined;
  /** Paths of all objects that were reached. */
  readonly reached: Set<string>;
  readonly problems: RepositoryProblem[];
  /** What each catalog that was looked at counts, by its path. */
  readonly counters: Map<string, SaidCounters>;
  /** Objects that were brought. */
  mended: number;
  bytes: number;
  readonly progress: (walk: Walk) => void;
}

export function startWalk(
  storage: Storage,
  how: Partial<Pick<Walk, 'reads' | 'fetch' | 'progress'>> = {},
): Walk {
  return {
    storage,
    reads: how.reads ?? false,
    fetch: how.fetch,
    reached: new Set(),
    problems: [],
    counters: new Map(),
    mended: 0,
    bytes: 0,
    progress: how.progress ?? (() => undefined),
  };
}

const objectsAtOnceMax = 16;
// What no catalog comes near.
const catalogBytesMax = 2 ** 30;

/** Looks at a catalog, all that it reaches, and at itself last. Problems are noted, and end nothing. */
export async function walkCatalog(walk: Walk, hashText: string): Promise<void> {
  const hash = parseHash(hashText);
  if (hash === undefined) {
    note(walk, hashText, new PinfsError('CATALOG_SCHEMA', 'a catalog is named by no hash'));
    return;
  }
  const object: ObjectName = { hash, kind: 'catalog' };
  if (walk.reached.has(objectPath(object))) return;
  const plain = await readPlain(walk, object);
  if (plain === undefined) return;
  let nested: readonly string[];
  let said: SaidCounters;
  const wrong = (message: string): void =>
    note(walk, objectText(object), new PinfsError('CATALOG_COUNTERS', message));
  try {
    const db = openStoredCatalog(plain, object);
    try {
      await walkContents(walk, db);
      said = saidCounters(db);
      wrongCounters(db, said).forEach(wrong);
      nested = nestedOf(db);
    } finally {
      db.close();
    }
  } catch (thrown) {
    note(walk, objectText(object), catalogFault(thrown, object));
    return;
  }
  walk.counters.set(objectPath(object), said);
  for (const below of nested) await walkCatalog(walk, below);
  const counted = nested.map((text) => walk.counters.get(catalogPath(text)));
  // Of one that can't be read it was said already.
  if (!counted.includes(undefined))
    wrongSubtree(
      said,
      counted.filter((one) => one !== undefined),
    ).forEach(wrong);
}

/** '' for what is no hash. */
export function catalogPath(text: string): string {
  const hash = parseHash(text);
  return hash === undefined ? '' : objectPath({ hash, kind: 'catalog' });
}

async function walkContents(walk: Walk, db: Database.Database): Promise<void> {
  const under = new Set<Promise<void>>();
  for (const { object } of contentsOf(db)) {
    if (walk.reached.has(objectPath(object))) continue;
    const looking = lookAt(walk, object).finally(() => under.delete(looking));
    under.add(looking);
    if (under.size >= objectsAtOnceMax) await Promise.race(under);
  }
  await Promise.all(under);
}

/** An object of a file. */
export interface ContentObject {
  readonly object: ObjectName;
  readonly compression: Compression;
  readonly plainBytes: number;
}

/** The objects of all files of a catalog; external ones have none. */
export function* contentsOf(db: Database.Database): Generator<ContentObject> {
  const external = flag.external;
  const rows = db
    .prepare(
      `SELECT hash, flags, 0, CAST(size AS INTEGER) FROM catalog
       WHERE hash IS NOT NULL AND length(hash)=20 AND flags & ${external} = 0${hasChunks(db) ? ofChunks : ''}`,
    )
    .raw()
    .iterate() as IterableIterator<readonly [Buffer, number, 0 | 1, number | null]>;
  for (const [digest, flags, isChunk, size] of rows) {
    const hash = hashFromDigest(algorithmOf(flags), digest);
    const compression = compressionOfFlags(flags);
    if (hash === undefined || compression === undefined) continue;
    const plainBytes = Math.max(0, size ?? 0);
    yield { object: { hash, kind: isChunk === 1 ? 'chunk' : 'data' }, compression, plainBytes };
  }
}

const ofChunks = `
       UNION ALL
       SELECT chunks.hash, catalog.flags, 1, CAST(chunks.size AS INTEGER)
       FROM chunks JOIN catalog USING (md5path_1, md5path_2) WHERE catalog.flags & ${flag.external} = 0`;

/** Catalogs of before 2.4 have none. */
function hasChunks(db: Database.Database): boolean {
  return db.prepare("SELECT 1 FROM sqlite_master WHERE name='chunks'").get() !== undefined;
}

/** The catalogs that a catalog names, as they stand in it. */
export function nestedOf(db: Database.Database): readonly string[] {
  return db.prepare('SELECT CAST(sha1 AS TEXT) FROM nested_catalogs').pluck().all() as string[];
}

function algorithmOf(flags: number): HashAlgorithm {
  const bits = flags & 0x700;
  return bits === hashFlag.rmd160 ? 'rmd160' : bits === hashFlag.shake128 ? 'shake128' : 'sha1';
}

/** Looks at one object; brings it where it is wrong and can be had. */
export async function lookAt(walk: Walk, object: ObjectName): Promise<void> {
  const path = objectPath(object);
  walk.reached.add(path);
  const problem = await problemOf(walk, object).catch((thrown: unknown) => asPinfsError(thrown));
  if (problem !== undefined && !(await mend(walk, object))) note(walk, objectText(object), problem);
  walk.progress(walk);
}

async function problemOf(walk: Walk, object: ObjectName): Promise<PinfsError | undefined> {
  const { storage } = walk;
  const path = objectPath(object);
  const missing = (): PinfsError => new PinfsError('OBJECT_MISSING', `${path} is missing`);
  if (!walk.reads) return (await storage.has(path)) ? undefined : missing();
  const stream = await storage.stream(path);
  if (stream === undefined) return missing();
  const hasher = hasherOf(object.hash.algorithm);
  for await (const piece of stream as AsyncIterable<Buffer>) {
    hasher.update(piece);
    walk.bytes += piece.length;
  }
  if (hasher.digest().text === object.hash.text) return undefined;
  return new PinfsError('OBJECT_HASH_MISMATCH', `${path} is damaged`);
}

/** @returns whether the object is right now. */
async function mend(walk: Walk, object: ObjectName): Promise<boolean> {
  if (walk.fetch === undefined) return false;
  const path = objectPath(object);
  try {
    const stored = await walk.fetch(path);
    if (hashBytes(object.hash.algorithm, stored).text !== object.hash.text) {
      throw new PinfsError('OBJECT_HASH_MISMATCH', `${path} is damaged there as well`);
    }
    await walk.storage.write(path, stored);
    walk.mended++;
    return true;
  } catch (thrown) {
    note(walk, objectText(object), thrown);
    return false;
  }
}

/** The plain bytes of a compressed object; undefined: a problem was noted. */
export async function readPlain(walk: Walk, object: ObjectName): Promise<Buffer | undefined> {
  walk.reached.add(objectPath(object));
  const isRight = (await problemOf({ ...walk, reads: true }, object)) === undefined;
  if (!isRight) await mend(walk, object);
  try {
    const stored = (await walk.storage.read(objectPath(object), catalogBytesMax))?.bytes;
    if (stored === undefined) {
      throw new PinfsError('OBJECT_MISSING', `${objectPath(object)} is missing`);
    }
    if (hashBytes(object.hash.algorithm, stored).text !== object.hash.text) {
      throw new PinfsError('OBJECT_HASH_MISMATCH', `${objectPath(object)} is damaged`);
    }
    const unpacked = zlibCodec.unpack(stored, catalogBytesMax, false);
    if (unpacked.kind === 'done') return unpacked.plain;
    throw new PinfsError('OBJECT_NOT_ZLIB', `${objectPath(object)} can't be unpacked`);
  } catch (thrown) {
    note(walk, objectText(object), thrown);
    return undefined;
  }
}

export function note(walk: Walk, what: string, thrown: unknown): void {
  const { code, message } = asPinfsError(thrown);
  walk.problems.push({ what, code, message });
}
