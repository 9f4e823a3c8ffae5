import { setImmediate as turn } from 'node:timers/promises';
import type { ObjectKey } from '../key.js';
import { withRecords, writeAnyway } from './maintain.js';
import type { PartRecord } from './kept-statements.js';

/* Parts of snapshots that are kept: their objects are not evicted until they are let go of. */

/** What is kept: what is at or below a path of a snapshot. */
export interface Part {
  /** Its fully qualified name. */
  readonly repository: string;
  /** Text of its root hash. */
  readonly root: string;
  readonly path: string;
}

const keysAtOnce = 1024;

/**
 * Keeps these objects, whether they are here or come later.
 * @returns whether the part was not kept before.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export async function keepPart(
  directory: string,
  { repository, root, path }: Part,
  keys: readonly ObjectKey[],
): Promise<boolean> {
  return withRecords(directory, false, async (records, place) => {
    const { id, isNew } = writeAnyway(records, place, (sql) => {
      const known = sql.part.get(repository, root, path);
      if (known !== undefined) return { id: known.id, isNew: false };
      const { lastInsertRowid } = sql.addPart.run(repository, root, path, Date.now());
      return { id: Number(lastInsertRowid), isNew: true };
    });
    for (let at = 0; at < keys.length; at += keysAtOnce) {
      const some = keys.slice(at, at + keysAtOnce);
      writeAnyway(records, place, (sql) => {
        for (const key of some) sql.keep.run(key, id);
      });
      await turn();
    }
    return isNew;
  });
}

/** Lets go of a part: its objects go when room is needed. @returns whether it was kept. @throws PinfsError CACHE_UNUSABLE. */
export async function unkeepPart(
  directory: string,
  { repository, root, path }: Part,
): Promise<boolean> {
  return withRecords(directory, false, (records, place) =>
    writeAnyway(records, place, (sql) => {
      const known = sql.part.get(repository, root, path);
      if (known === undefined) return false;
      sql.unkeep.run(known.id);
      sql.removePart.run(known.id);
      return true;
    }),
  );
}

/** All that is kept. @throws PinfsError CACHE_UNUSABLE. */
export async function keptParts(directory: string): Promise<readonly PartRecord[]> {
  return withRecords(directory, [], (records) => records.read((sql) => sql.parts.all()));
}

/** Plain bytes of all objects that are kept, each once. @throws PinfsError CACHE_UNUSABLE. */
export async function keptBytes(directory: string): Promise<number> {
  return withRecords(directory, 0, (records) =>
    records.read((sql) => sql.keptBytes.get()?.bytes ?? 0),
  );
}
