import type { DiskShelf } from './disk-shelf.js';
import { DiskFull } from './full.js';
import { removeObject } from './object-files.js';
import { purgeOwners } from './owners.js';
import { charge, type Candidate, type Records, type Statements } from './records.js';
import { freeBytes, openRoom, type Room } from './room.js';

// What is looked at in one go, of the oldest; a query goes through all of them.
const candidatesAtOnceMax = 4096;

/** Removes from a cache what was not used for longest. All of it under the write lock. */
export class Eviction {
  /** Objects that were removed. */
  count = 0;

  /** Leads to the cache directory that is held now. */
  readonly at: () => string;
  readonly #shelf: Pick<DiskShelf, 'forget'>;
  readonly #self: () => string;
  #candidates: Candidate[] = [];

  /**
   * @param at leads to the cache directory that is held now.
   * @param self the id of the owner on whose behalf it is done.
   */
  constructor(at: () => string, shelf: Pick<DiskShelf, 'forget'>, self: () => string) {
    this.at = at;
    this.#shelf = shelf;
    this.#self = self;
  }

  /**
   * Removes objects until the sum of what they took reaches `goal`, or all that may go are gone.
   * @param spared keys that stay.
   * @returns bytes that were removed.
   */
  remove(sql: Statements, goal: number, spared: ReadonlySet<string>): number {
    let freed = 0;
    for (const { id, key, size } of this.#oldest(sql, spared)) {
      sql.remove.run(id);
      sql.grow.run(-charge(size));
      removeObject(this.at(), key);
      this.#shelf.forget(key);
      this.count++;
      freed += charge(size);
      if (freed >= goal) break;
    }
    return freed;
  }

  /** All that may go, the longest unused first: what is left of the last list, and then from the begin again. */
  *#oldest(sql: Statements, spared: ReadonlySet<string>): Generator<Candidate> {
    // The list may be old: held or used since then, or gone.
    const mayGo = ({ key, used }: Candidate): boolean =>
      !spared.has(key) && sql.held.get(key) === undefined && sql.get.get(key)?.used === used;
    let behind: Pick<Candidate, 'rank' | 'id'> = { rank: -Infinity, id: -1 };
    for (let isFirst = true; ;) {
      for (let next = this.#candidates.pop(); next !== undefined; next = this.#candidates.pop())
        if (mayGo(next)) yield next;
      if (isFirst) purgeOwners(this.at(), sql, this.#self());
      isFirst = false;
      // Only a part: what is new by then is not in the list, and may be older than its end.
      const some = Math.ceil((sql.count.get()?.objects ?? 0) / 8);
      const page = sql.oldest.all(behind.rank, behind.id, Math.min(candidatesAtOnceMax, some));
      const last = page.at(-1);
      if (last === undefined) return;
      behind = last;
      this.#candidates = page.reverse();
    }
  }
}

const nothing: ReadonlySet<string> = new Set();

/** Room on the disk of a cache, made by eviction. @param write one transaction under the write lock. */
export function openRoomByEviction(
  eviction: Eviction,
  records: Pick<Records, 'read' | 'shrink'>,
  write: (work: (sql: Statements) => void) => void,
  clock: () => number,
): Room {
  return openRoom({
    free: () => freeBytes(eviction.at()),
    removable: () => records.read((sql) => sql.removable.get() ?? 0),
    clock,
    remove(loop) {
      let made = false;
      try {
        write((sql) => {
          made = loop(() => eviction.remove(sql, 1, nothing) || undefined);
        });
      } catch (thrown) {
        // There was no room to write that down; the files are gone nevertheless, and found out later.
        if (!(thrown instanceof DiskFull)) throw thrown;
      } finally {
        records.shrink(true);
      }
      return made;
    },
  });
}
