import { rename, readFile, writeFile } from 'node:fs/promises';
import type Database from 'better-sqlite3';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { objectPath, parseHash, type ContentHash } from '../../format/hash.js';
import { unpack } from '../../store/inflate.js';
import { sizeLimits, type Want } from '../../store/want.js';
import { makeSlots } from '../objects/slots.js';
import { contentsOf, nestedOf, type RepositoryProblem } from '../repository/walk.js';
import { openStoredCatalog } from '../catalogs/stored-catalog.js';
import { bytesOf, storageHas, receive, type Porter } from './bring.js';

/** A catalog that the storage lacks. */
export interface NewCatalog {
  readonly want: Want;
  /** Where it lies as it is stored. */
  readonly file: string;
  readonly size: number;
  /** Those below it that the storage lacks. */
  readonly nested: readonly NewCatalog[];
}

/** All that is to be brought. */
export interface MirrorPlan {
  readonly roots: readonly NewCatalog[];
  readonly catalogs: number;
  /** Paths of content that new catalogs name; whether it is there is asked when it is its turn. */
  readonly todo: Set<string>;
  /** That content, and its plain bytes. */
  readonly total: { objects: number; bytes: number };
  readonly problems: RepositoryProblem[];
}

/** Catalogs are unpacked in memory. */
const catalogsAtOnceMax = 6;

/**
 * Fetches the catalogs below some roots that the storage has not got, and lists what they name. One that is there is not
 * looked into: catalogs are written when all that they reach is there. Problems are listed, and end nothing.
 */
export async function makePlan(
  porter: Porter,
  roots: readonly ContentHash[],
  progress: (plan: Pick<MirrorPlan, 'catalogs' | 'total'>) => void,
): Promise<MirrorPlan> {
  const plan = {
    catalogs: 0,
    todo: new Set<string>(),
    total: { objects: 0, bytes: 0 },
    problems: [] as RepositoryProblem[],
  };
  const slots = makeSlots(catalogsAtOnceMax);
  const met = new Map<string, Promise<NewCatalog | undefined>>();

  const visit = (hash: ContentHash): Promise<NewCatalog | undefined> => {
    const path = objectPath({ hash, kind: 'catalog' });
    const before = met.get(path);
    if (before !== undefined) return before;
    const visiting = look(hash).catch((thrown: unknown) => {
      const { code, message } = asPinfsError(thrown);
      plan.problems.push({ what: path, code, message });
      return undefined;
    });
    met.set(path, visiting);
    return visiting;
  };
  const look = async (hash: ContentHash): Promise<NewCatalog | undefined> => {
    const want = catalogWant(hash);
    if (await storageHas(porter.storage, want.object)) return undefined;
    const file = porter.temporaryName();
    const release = await slots.take();
    let size = 0;
    let below: readonly ContentHash[];
    try {
      await receive(porter, want, async (content) => {
        size = Buffer.isBuffer(content) ? content.length : content.size;
        if (Buffer.isBuffer(content)) await writeFile(file, content, { flag: 'wx' });
        else await rename(content.file, file);
      });
      below = list(plan, want, await bytesOf({ file, size }));
    } finally {
      release();
    }
    plan.catalogs += 1;
    progress(plan);
    const nested = (await Promise.all(below.map(visit))).filter((one) => one !== undefined);
    return { want, file, size, nested };
  };
  const found = await Promise.all(roots.map(visit));
  return { ...plan, roots: found.filter((one) => one !== undefined) };
}

/** Adds what a catalog names. @returns the catalogs below it. @throws PinfsError */
function list(
  plan: Pick<MirrorPlan, 'todo' | 'total'>,
  want: Want,
  stored: Buffer,
): readonly ContentHash[] {
  return withCatalog(want, stored, (db) => {
    for (const { object, plainBytes } of contentsOf(db)) {
      const path = objectPath(object);
      if (plan.todo.has(path)) continue;
      plan.todo.add(path);
      plan.total.objects += 1;
      plan.total.bytes += plainBytes;
    }
    return nestedOf(db).map((text) => {
      const hash = parseHash(text);
      if (hash !== undefined) return hash;
      throw new PinfsError('CATALOG_SCHEMA', 'a nested catalog is named by no hash');
    });
  });
}

/** What a catalog that was fetched names, in the order of its rows. */
export async function* contentOf(catalog: NewCatalog): AsyncGenerator<Want> {
  const db = openCatalog(catalog.want, await readFile(catalog.file));
  try {
    for (const { object, compression, plainBytes } of contentsOf(db))
      yield { object, compression, size: { kind: 'exact', bytes: plainBytes }, path: '' };
  } finally {
    db.close();
  }
}

/** Those below a catalog before itself; each once. */
export function* bottomUp(
  catalogs: readonly NewCatalog[],
  done = new Set<NewCatalog>(),
): Generator<NewCatalog> {
  for (const catalog of catalogs) {
    if (done.has(catalog)) continue;
    done.add(catalog);
    yield* bottomUp(catalog.nested, done);
    yield catalog;
  }
}

function catalogWant(hash: ContentHash): Want {
  return {
    object: { hash, kind: 'catalog' },
    compression: 'zlib',
    size: { kind: 'limit', bytes: sizeLimits.catalog },
    path: '',
  };
}

function withCatalog<T>(want: Want, stored: Buffer, body: (db: Database.Database) => T): T {
  const db = openCatalog(want, stored);
  try {
    return body(db);
  } finally {
    db.close();
  }
}

/** @throws PinfsError OBJECT_…, CATALOG_… */
function openCatalog(want: Want, stored: Buffer): Database.Database {
  return openStoredCatalog(unpack(stored, want), want.object);
}
