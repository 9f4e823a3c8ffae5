import type { PinfsError } from '../format/errors.js';
import type { Wait } from '../source/wait.js';
import type { FetchOutcome } from './outcomes.js';
import type { RecentUses, Shelf } from './shelf.js';
import type { StoreSpent } from './spent.js';
import type { Want } from './want.js';

/** Objects by content hash: fetched once, verified, kept under a limit, evicted least recently used first. */
export interface Store {
  readonly shelf: Shelf;
  readonly directory: string;
  /** Leads other threads of this process to the directory of the cache that is held now. */
  readonly at?: string | undefined;

  /**
   * Makes an object available on the shelf: fetches, verifies, inflates and stores it, unless it is there.
   * One flight for each object, however many wait; each waiter has its own signal and limits.
   * @throws PinfsError OBJECT_MISSING, OBJECT_HASH_MISMATCH, OBJECT_NOT_ZLIB, OBJECT_TRAILING_BYTES,
   *   OBJECT_SIZE_MISMATCH, OBJECT_TOO_LARGE, CACHE_FULL, SOURCE_*, INTERRUPTED.
   */
  fetch(want: Want, signal?: AbortSignal, how?: Waiting): Promise<void>;

  /**
   * Starts fetching in the background, a bounded number at a time; failures are counted and forgotten.
   * @returns those that need not be fetched: there is a record of them. undefined: that was not looked at.
   */
  fetchAhead(wants: readonly Want[]): readonly Want[] | undefined;

  /** Keeps an object from eviction (mounted catalogs, `--offline` pins) until the store is closed or it is released. */
  hold(want: Want): void;
  release(want: Want): void;

  /** Whether the cache itself has an object, by `wantKey`: not one that only passed through, or was evicted. */
  isKept?(key: string): boolean;

  /** Those of many keys for which that is so. */
  keptOf?(keys: readonly string[]): ReadonlySet<string>;

  /** Whether it is on this machine as far as is seen: in the cache, the spare, or a cache that is only read. */
  isOnMachine?(want: Want): boolean;

  /** What became of the last fetch of an object, where that is under way or did not bring it. */
  outcomeOf?(want: Want): FetchOutcome | undefined;

  /** Whether content that is fetched from now on goes first when room is needed (`volatile`, docs/format.md). */
  setVolatile?(isVolatile: boolean): void;

  /** Keys of objects that were evicted since the last call: other threads may have them open. */
  takeEvicted?(): readonly string[];

  /** What other threads used, so that it is not evicted as if nobody had. */
  noteUses?(uses: RecentUses): void;

  /**
   * Writes nothing into the cache from now on, and keeps nothing in it open to write: what is in it is read on, what
   * is new passes through the spare. Its other shelves are told by their own `leaveCache`.
   */
  leaveCache?(): void;

  /** Told of each object that was fetched and kept, where somebody wants to know. */
  fetched?: FetchedListener | undefined;

  readonly statistics: StoreStatistics;
  close(): Promise<void>;
}

/** Bytes that an object took on its way, by its `wantKey`. */
export type FetchedListener = (key: string, storedBytes: number) => void;

/** How somebody waits for an object, where it is not as the store does. */
export interface Waiting {
  /** Kept up with what comes. Not given: with the limits of the store, from now on. */
  readonly wait?: Wait | undefined;
  /** Ask for what fails a few times only: at first contact a mistake is likelier than a fault that passes. */
  readonly brief?: boolean | undefined;
  /** Another thread reads it: it need not be open in this one. */
  readonly readElsewhere?: boolean | undefined;
  /** Told from time to time how many bytes have come, and why a try failed that is made again. */
  readonly heard?: (bytes: number, trouble: PinfsError | undefined) => void;
}

/**
 * Why nothing is stored (a full disk, a cache that was lost, or that can only be read): what is read passes through another
 * place, and is fetched again one day.
 */
export interface NotStored {
  /** ISO 8601 UTC. */
  readonly since: string;
  readonly reason: string;
  readonly advice: string | undefined;
  /** Where it passes through; undefined: nothing yet. */
  readonly directory: string | undefined;
  /** Objects since then. */
  readonly objects: number;
}

export interface StoreStatistics {
  hits: number;
  misses: number;
  /** Those of them that were catalogs. */
  catalogHits: number;
  catalogMisses: number;
  /** Bytes of plain objects stored by this process. */
  stored: number;
  evicted: number;
  /** Where the time of what was fetched went. Undefined: it is not measured. */
  readonly spent?: StoreSpent;
  /** Bytes now in the cache, as far as known, and the limit. */
  bytes: number;
  limit: number;
  /** Times that the records of the cache were damaged or gone, and everything has to be fetched again. */
  rebuilt: number;
  /** undefined: what came last was stored, and what comes next will be, as far as known. */
  readonly notStored: NotStored | undefined;
  /** Failed fetches by error code. */
  failures: Partial<Record<string, number>>;
  lastFailure:
    | {
        readonly code: string;
        readonly message: string;
        readonly path: string;
        readonly time: string;
      }
    | undefined;
}
