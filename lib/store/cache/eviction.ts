import type { DiskShelf } from './disk-shelf.js';
import { DiskFull } from './full.js';
import type { SegmentStore } from './compact.js';
import { purgeOwners } from './owners.js';
import type { Records } from './records.js';
import type { Candidate, Statements } from './statements.js';
import { removeRecorded, type Removable } from './remove.js';
import { freeBytes, openRoom, type Room } from './room.js';

// What is looked at in one go, of the oldest; a query goes through all of them.
const candidatesAtOnceMax = 4096;

// Gaps that are left by objects that went before it is looked which segments can be given up (bytes).
const gapsBytesMax = 256 * 1024;

/** Removes from a cache what was not used for longest. All of it under the write lock. */
export class Eviction {
  /** Objects that were removed. */
  count = 0;

  /** Leads to the cache directory that is held now. */
  readonly at: () => string;
  readonly #shelf: Pick<DiskShelf, 'forget' | 'letRemovedGo'>;
  readonly #compact: SegmentStore['compact'];
  readonly #self: () => string;
  #candidates: Candidate[] = [];

  /**
   * @param at leads to the cache directory that is held now.
   * @param compact moves what is left in segments that are mostly gaps.
   * @param self the id of the owner on whose behalf it is done.
   */
  constructor(
    at: () => string,
    shelf: Pick<DiskShelf, 'forget' | 'letRemovedGo'>,
    compact: SegmentStore['compact'],
    self: () => string,
  ) {
    this.at = at;
    this.#shelf = shelf;
    this.#compact = compact;
    this.#self = self;
  }

  /**
   * Removes objects until the sum of what they took reaches `goal`, or all that may go are gone.
   * @param spared keys that stay.
   * @returns bytes that were removed.
   */
  remove(sql: Statements, goal: number, spared: ReadonlySet<string>): number {
    let freed = this.#compact(sql);
    // What lies in segments leaves gaps at first; they are closed once they make up for what it costs.
    let gaps = 0;
    if (freed < goal) {
      for (const object of this.#oldest(sql, spared)) {
        const bytes = removeRecorded(sql, this.at(), object);
        this.#shelf.forget(object.key);
        this.count++;
        freed += bytes;
        gaps += bytes === 0 ? object.size : 0;
        if (gaps >= gapsBytesMax) {
          freed += this.#compact(sql);
          gaps = 0;
        }
        if (freed >= goal) break;
      }
    }
    this.#shelf.letRemovedGo();
    return freed;
  }

  /** All that may go, the longest unused first: what is left of the last list, and then from the begin again. */
  *#oldest(sql: Statements, spared: ReadonlySet<string>): Generator<Removable> {
    // The list may be old: held or used since then, gone, or moved.
    const mayGo = ({ key, used }: Candidate): Removable | undefined => {
      if (spared.has(key) || sql.held.get(key) !== undefined) return undefined;
      const now = sql.get.get(key);
      return now?.used === used ? { ...now, key } : undefined;
    };
    let behind: Pick<Candidate, 'rank' | 'id'> = { rank: -Infinity, id: -1 };
    for (let isFirst = true; ;) {
      for (let next = this.#candidates.pop(); next !== undefined; next = this.#candidates.pop()) {
        const object = mayGo(next);
        if (object !== undefined) yield object;
      }
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
