import { resolve } from 'node:path';
import { asPinfsError, PinfsError } from '../format/errors.js';
import type { Source } from '../source/source.js';
import { beginWait, defaultWaitLimits, type WaitLimits } from '../source/wait.js';
import { download, sourceOf, type Sources } from './fetch/download.js';
import { countFailure, openFailures, tooLate, type Failures } from './fetch/failures.js';
import { Batch, type Begun } from './fetch/batch.js';
import type { Leg } from './fetch/flight.js';
import { Flights } from './fetch/flights.js';
import { batchLimits, flightLimits } from './fetch/limits.js';
import { checkSize } from './inflate.js';
import { cacheUnusable } from './cache/layout.js';
import {
  isBesideOthers,
  mayFit,
  openKeeper,
  unpackSmall,
  type Keeper,
  type Target,
} from './cache/keeper.js';
import { openLowerReader } from './cache/lower.js';
import { openCache } from './cache/open-cache.js';
import {
  checkLowerCaches,
  openLowerCaches,
  withOwn,
  type LowerCaches,
} from './lower/lower-caches.js';
import { shelfForReaders } from './cache/open-shelf.js';
import type { RecentUses, Shelf } from './shelf.js';
import { openOutcomes, type FetchOutcome } from './outcomes.js';
import { openSpare, type Spare } from './cache/spare.js';
import { openStaging, type StagingPlace } from './cache/staging.js';
import { nothingSpent, spendWaiting } from './spent.js';
import type { FetchedListener, Store, StoreStatistics, Waiting } from './store.js';
import { checkPromise, weightOf } from './promised-size.js';
import { openStatistics } from './statistics.js';
import { sizeOfStored, type Stored } from './cache/stored.js';
import { withSpare } from './cache/two-shelves.js';
import { Unpacker } from './cache/unpacker.js';
import { flightKey, wantKey, type Want } from './want.js';

export interface StoreOptions extends Sources {
  readonly directory: string;
  /** Bytes that the cache may take on the disk. */
  readonly limit: number;
  /** Caches that are only read, of pinfs or of the reference: what they have is not fetched. */
  readonly lower?: readonly string[] | undefined;
  /** Of whoever waits and has none of his own. */
  readonly waitLimits?: WaitLimits | undefined;
  /** Milliseconds; for the memory of failures. */
  readonly clock?: (() => number) | undefined;
}

/**
 * Opens the store of a cache directory, which is made if it isn't there. The sources stay the caller's.
 * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL, USAGE (a cache below is no directory).
 */
export function openStore(options: StoreOptions): Store {
  checkLowerCaches(options.lower ?? []);
  return new DiskStore(options);
}

class DiskStore implements Store {
  readonly shelf: Shelf;
  readonly directory: string;
  readonly statistics: StoreStatistics;
  fetched: FetchedListener | undefined = undefined;

  readonly #sources: Sources;
  readonly #waitLimits: WaitLimits;
  readonly #cache: Target | undefined;
  /** Those below the cache; it itself where it can only be read. */
  #lower: LowerCaches | undefined;
  #isCacheLeft = false;
  /** Why nothing can be stored in it. */
  readonly #outOfUse: PinfsError | undefined;
  readonly #spare: Spare;
  readonly #keeper: Keeper;
  readonly #unpacker = new Unpacker();
  readonly #batch: Batch;
  readonly #flights: Flights;
  readonly #failures: Failures;
  readonly #outcomes = openOutcomes();
  readonly #spent = nothingSpent();
  #closing: Promise<void> | undefined;

  constructor(options: StoreOptions) {
    this.directory = resolve(options.directory);
    this.#sources = options;
    this.#waitLimits = options.waitLimits ?? defaultWaitLimits;
    const { cache, lower, reason } = openCache(this.directory, options);
    this.#cache = cache;
    this.#lower = openLowerCaches(options.lower ?? [], lower);
    this.#outOfUse = reason;
    this.#spare = openSpare(this.directory);
    this.#keeper = openKeeper(cache ?? reason, this.#spare, this.#unpacker, this.#spent);
    this.#failures = openFailures(options.clock ?? Date.now);
    this.#batch = this.#openBatch(options.source);
    this.#flights = new Flights(flightLimits, undefined, this.#batch);
    const shelf = withSpare(
      () => this.#cache?.disk.shelf,
      () => this.#spare.opened?.disk.shelf,
    );
    this.shelf = shelfForReaders(shelf);
    this.statistics = openStatistics(this.#cache?.disk, this.shelf, this.#keeper, this.#spent);
  }

  async fetch(want: Want, signal?: AbortSignal, how: Waiting = {}): Promise<void> {
    this.#refuseIfClosed();
    if (this.#isHere(want)) return;
    const key = flightKey(want);
    const known = this.#failures.recall(key);
    if (known !== undefined) throw known;
    checkPromise(want, this.#cache?.disk ?? this.#outOfUse, this.#spare);
    const wait = how.wait ?? beginWait(this.#waitLimits, performance.now(), want.size.bytes);
    const asked = performance.now();
    const work = (leg: Leg): Promise<void> => {
      this.#spent.queue += performance.now() - asked;
      return this.#fly(key, want, leg);
    };
    await this.#flights
      .join(key, weightOf(want), work, {
        wait,
        late: () => tooLate(want, wait.limits),
        signal,
        persistent: how.brief !== true,
        heard: how.heard,
      })
      .catch((thrown: unknown) => {
        // It may still be on its way, but nobody waits for it.
        if (!this.#flights.isWanted(key))
          this.#outcomes.failed(wantKey(want), asPinfsError(thrown));
        throw thrown;
      });
    // Opened at once: then it can be read even if others need its room in the next moment. Who reads in another
    // thread opens it there; if it went meanwhile, it is asked for again.
    const shelf = this.#targetOf(wantKey(want))?.disk.shelf;
    if (how.readElsewhere === true) shelf?.forget(wantKey(want));
    else shelf?.reopen(wantKey(want));
  }

  fetchAhead(wants: readonly Want[]): readonly Want[] {
    if (this.#closing !== undefined || this.#sources.offline === true) return [];
    const recorded = this.#recordedOf(wants.map(wantKey));
    const isHere = (want: Want): boolean => recorded.has(wantKey(want));
    for (const want of wants) {
      if (isHere(want)) continue;
      const key = flightKey(want);
      if (this.#batch.has(key) || this.#flights.has(key)) continue;
      const limit = this.#cache?.disk.limit ?? Infinity;
      if (this.#failures.recall(key) !== undefined || !mayFit(want, limit)) continue;
      const begun = this.#fitsInBatch(want)
        ? this.#batch.ahead(key, want)
        : this.#flights.ahead(key, weightOf(want), (leg) => this.#fly(key, want, leg));
      if (!begun) break;
    }
    return wants.filter(isHere);
  }

  get at(): string | undefined {
    return this.#cache?.disk.at ?? this.directory;
  }

  hold(want: Want): void {
    this.#refuseIfClosed();
    this.#cache?.disk.hold(wantKey(want));
    this.#spare.hold(wantKey(want));
  }

  release(want: Want): void {
    // With the store all that it holds is released.
    if (this.#closing !== undefined) return;
    this.#cache?.disk.release(wantKey(want));
    this.#spare.release(wantKey(want));
  }

  isKept(key: string): boolean {
    return this.#cache?.disk.isRecorded(key) === true;
  }

  keptOf(keys: readonly string[]): ReadonlySet<string> {
    return this.#cache?.disk.recordedOf(keys) ?? new Set();
  }

  isOnMachine(want: Want): boolean {
    if (this.#targetOf(wantKey(want)) !== undefined) return true;
    const place = this.#writable ?? this.#spare.opened;
    if (this.#lower === undefined || place === undefined) return false;
    try {
      return this.#lower.has(want, place.disk.temporary());
    } catch {
      return false;
    }
  }

  outcomeOf(want: Want): FetchOutcome | undefined {
    return this.#outcomes.of(wantKey(want));
  }

  leaveCache(): void {
    this.#refuseIfClosed();
    const disk = this.#cache?.disk;
    if (disk === undefined || this.#isCacheLeft) return;
    const own = openLowerReader(this.directory);
    const reason = `the mount was told to write nothing into the cache ${this.directory} any more`;
    this.#isCacheLeft = true;
    disk.letGo(reason);
    this.#keeper.notKept(cacheUnusable(this.directory, new Error(reason)));
    if (own !== undefined) this.#lower = withOwn(own, this.#lower);
  }

  setVolatile(isVolatile: boolean): void {
    if (this.#cache !== undefined) this.#cache.disk.isVolatile = isVolatile;
  }

  takeEvicted(): readonly string[] {
    return this.#cache?.disk.takeEvicted() ?? [];
  }

  noteUses(uses: RecentUses): void {
    this.#cache?.disk.shelf.noteUses(uses);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #refuseIfClosed(): void {
    if (this.#closing !== undefined) throw new PinfsError('INTERRUPTED', 'the cache was closed');
  }

  async #close(): Promise<void> {
    await this.#flights.close();
    this.#batch.close();
    this.#cache?.committer.close();
    await this.#unpacker.close();
    this.#cache?.disk.close();
    await this.#lower?.close();
    this.#spare.close();
  }

  async #fly(key: string, want: Want, leg: Leg): Promise<void> {
    const known = this.#batch.has(key) || this.#fitsInBatch(want);
    const begun = known ? await this.#batch.fetch(key, want, leg) : undefined;
    if (begun !== 'kept') await this.#goOn(key, want, leg, begun);
  }

  /** Fetches an object with all care. @param begun how far that has come; undefined: nothing was asked. */
  async #goOn(key: string, want: Want, leg: Leg, begun: Begun | undefined): Promise<void> {
    if (begun === undefined) this.#begun(want);
    const staging = openStaging((index) => this.#stagingPlace(index), this.#outOfUse);
    try {
      if (await this.#copyFromLower(want)) {
        this.#outcomes.came(wantKey(want));
        return;
      }
      const source = sourceOf(want, this.#sources);
      const keep = async (stored: Stored): Promise<void> => {
        this.statistics.stored += await this.#keeper.keep(want, stored, leg.demand);
        this.fetched?.(wantKey(want), sizeOfStored(stored));
      };
      await download(source, want, keep, this.#timed(leg), staging, begun);
      this.#failures.forget(key);
      this.#outcomes.came(wantKey(want));
    } catch (thrown) {
      const error = asPinfsError(thrown);
      this.#outcomes.failed(wantKey(want), error);
      this.#failures.remember(key, error);
      countFailure(this.statistics, want, error);
      throw error;
    } finally {
      staging.close();
    }
  }

  #begun(want: Want): void {
    this.statistics.misses++;
    if (want.object.kind === 'catalog') this.statistics.catalogMisses++;
    this.#outcomes.begun(wantKey(want));
  }

  #openBatch(source: Source): Batch {
    return new Batch({
      source,
      ...batchLimits,
      weightOf,
      verify: (stored, want) => ({
        key: wantKey(want),
        ...unpackSmall(stored, want, this.#spent),
      }),
      record: async (objects) => {
        if (this.#cache === undefined) throw new PinfsError('INTERNAL', 'there is no cache');
        return await this.#cache.committer.addAll(objects);
      },
      spent: this.#spent,
      listener: {
        begun: (want) => this.#begun(want),
        came: (bytes) => this.#flights.came(bytes),
        kept: (key, want, storedBytes, plainBytes) => {
          this.statistics.stored += plainBytes;
          this.#failures.forget(key);
          this.#outcomes.came(wantKey(want));
          this.fetched?.(wantKey(want), storedBytes);
        },
        givenBack: (key, want, begun) => {
          const goOn = (leg: Leg): Promise<void> => this.#goOn(key, want, leg, begun);
          // Where too many wait, it was asked for in vain.
          if (!this.#flights.ahead(key, weightOf(want), goOn)) this.#outcomes.came(wantKey(want));
        },
      },
    });
  }

  /** Whether nothing but the object itself has to be thought of: where it comes from, and where it is put. */
  #fitsInBatch(want: Want): boolean {
    const disk = this.#writable?.disk;
    return (
      disk !== undefined &&
      want.external === undefined &&
      this.#sources.offline !== true &&
      this.#lower === undefined &&
      this.#keeper.notStored === undefined &&
      isBesideOthers(want, disk.smallBytesMax)
    );
  }

  /** Transfers, timed from when they have a place. */
  #timed(leg: Leg): Leg {
    const transfer: Leg['transfer'] = (run) =>
      leg.transfer(() => spendWaiting(this.#spent, 'network', run));
    return { ...leg, transfer };
  }

  /** Where what comes is written before it is verified; the spare is made when it is first needed. */
  #stagingPlace(index: number): StagingPlace | undefined {
    const cache = this.#cache?.disk;
    if (index === 0 && cache !== undefined) return cache;
    return index === (cache === undefined ? 0 : 1) ? this.#spare.place()?.disk : undefined;
  }

  /** Takes an object over from a cache that can only be read, if it is there and right. */
  async #copyFromLower(want: Want): Promise<boolean> {
    const target = this.#lower && (this.#writable ?? this.#spare.place());
    if (target === undefined) return false;
    try {
      const [key, temporary] = [wantKey(want), target.disk.temporary()];
      const copied = await this.#lower?.copy(want, temporary);
      if (copied === undefined) return false;
      await target.committer.add({ key, temporary, ...copied });
      return true;
    } catch {
      // It can be fetched all the same.
      return false;
    }
  }

  /** Those of many keys of which there is a record, in the cache or the spare. */
  #recordedOf(keys: readonly string[]): ReadonlySet<string> {
    const found = this.keptOf(keys);
    const spare = this.#spare.opened?.disk.recordedOf(keys);
    return spare === undefined ? found : new Set([...found, ...spare]);
  }

  get #writable(): Target | undefined {
    return this.#isCacheLeft ? undefined : this.#cache;
  }

  /** Where there is a record of an object; whether it is right shows when it is opened. */
  #targetOf(key: string): Target | undefined {
    return [this.#cache, this.#spare.opened].find((target) => target?.disk.isRecorded(key));
  }

  /** Whether it is here. @throws PinfsError if what is here can't be what is wanted. */
  #isHere(want: Want): boolean {
    const key = wantKey(want);
    const [cache, spare] = [this.#cache?.disk.shelf, this.#spare.opened?.disk.shelf];
    const size = cache?.sizeOnDisk(key) ?? spare?.sizeOnDisk(key);
    if (size === undefined) return false;
    checkSize(size, want);
    return true;
  }
}
