import { openVictims } from '../../eviction/victims.js';
import type { DiskShelf } from './disk-shelf.js';
import { DiskFull } from './full.js';
import type { SegmentStore } from './compact.js';
import { purgeOwners } from './owners.js';
import type { Records } from './records.js';
import type { Candidate, Statements } from './statements.js';
import { removeRecorded, type Removable } from './remove.js';
import { freeBytes, openRoom, type Room } from './room.js';

// Keys that are kept for who may have them open: where nobody takes them, they stay.
const goneMax = 4096;

// All owners together spend at most a tenth of the time with looking at each other, which takes half a millisecond (ms).
const lookMsPerPair = 5;

/** Removes from a cache what was not used for longest. All of it under the write lock. */
export class Eviction {
  /** Objects that were removed. */
  count = 0;

  /** Leads to the cache directory that is held now. */
  readonly at: () => string;
  readonly #shelf: Pick<DiskShelf, 'forget' | 'letRemovedGo'>;
  readonly #compact: SegmentStore['compact'];
  readonly #self: () => string;
  #gone: string[] = [];
  /** When it is looked again which owners died. */
  #nextLook = 0;
  readonly #victims = openVictims<Candidate>();

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
    let freed = this.#removeUntil(sql, goal, spared);
    // Before it is said that there is no room, each owner is looked at, however short ago that was.
    if (freed < goal && this.#purge(sql) > 0) freed += this.#removeUntil(sql, goal - freed, spared);
    this.#shelf.letRemovedGo();
    return freed;
  }

  #purge(sql: Statements): number {
    const dead = purgeOwners(this.at(), sql, this.#self());
    const owners = sql.owners.all().length;
    this.#nextLook = performance.now() + lookMsPerPair * owners * owners;
    return dead;
  }

  #purgeNowAndThen(sql: Statements): void {
    if (performance.now() > this.#nextLook) this.#purge(sql);
  }

  #removeUntil(sql: Statements, goal: number, spared: ReadonlySet<string>): number {
    return this.#victims.removeUntil(
      {
        count: () => sql.count.get()?.objects ?? 0,
        oldest: ({ rank, id }, most) => sql.oldest.all(rank, id, most),
        now: (candidate) => removableNow(sql, candidate, spared),
        remove: (object: Removable) => {
          const bytes = removeRecorded(sql, this.at(), object);
          this.#shelf.forget(object.key);
          this.count++;
          if (this.#gone.length < goneMax) this.#gone.push(object.key);
          return bytes;
        },
        compact: () => this.#compact(sql),
        listAgain: () => this.#purgeNowAndThen(sql),
      },
      goal,
    );
  }

  /** Keys of objects that went since the last call, if not too many, for threads that may have them open. */
  takeGone(): readonly string[] {
    const gone = this.#gone;
    if (gone.length > 0) this.#gone = [];
    return gone;
  }
}

/** What was listed may be held or used since then, gone, or moved. */
function removableNow(
  sql: Statements,
  { key, used }: Candidate,
  spared: ReadonlySet<string>,
): Removable | undefined {
  if (spared.has(key) || sql.held.get(key) !== undefined) return undefined;
  const now = sql.get.get(key);
  return now?.used === used ? { ...now, key } : undefined;
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
