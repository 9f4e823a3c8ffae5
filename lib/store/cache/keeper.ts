import { charge } from '../../eviction/amounts.js';
import { hash } from 'node:crypto';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import type { Demand } from '../../source/http/demand.js';
import type { Committer } from './committer.js';
import type { Disk } from './disk.js';
import { DiskFull, NoRoom } from './full.js';
import { diskFull, cacheUnusable } from './layout.js';
import type { Spare } from './spare.js';
import type { NotStored } from '../store.js';
import { piecesOf, type Stored } from './stored.js';
import { unpack } from '../inflate.js';
import { nothingSpent, spend, spendWaiting, type StoreSpent } from '../spent.js';
import type { Unpacker } from './unpacker.js';
import { wantKey, type Want } from '../want.js';

/** A cache that can be written to. */
export interface Target {
  readonly disk: Disk;
  readonly committer: Committer;
}

/** Verifies what arrives and puts it where it can be read: into the cache, else into the spare. */
export interface Keeper {
  /**
   * Unpacks the stored bytes of an object and puts them on a shelf.
   * @param demand whether somebody waits for it; without it somebody does.
   * @returns its plain size.
   * @throws PinfsError as `unpack`; CACHE_FULL: no place has room for it; CACHE_UNUSABLE.
   */
  keep(want: Want, stored: Stored, demand?: Demand): Promise<number>;
  /** Why what came last was not stored in the cache; undefined: it was. */
  readonly notStored: NotStored | undefined;
  /** Nothing will be stored from now on. */
  notKept(reason: PinfsError): void;
}

/** `cache` may be the reason why nothing can be stored in it at all. */
export function openKeeper(
  cache: Target | PinfsError,
  spare: Pick<Spare, 'place'>,
  unpacker: Pick<Unpacker, 'prepare'>,
  spent: StoreSpent = nothingSpent(),
): Keeper {
  let notStored = cache instanceof PinfsError ? begun(cache) : undefined;

  async function keepElsewhere({ want, stored, demand }: Came, reason: PinfsError) {
    const place = spare.place();
    if (place === undefined) throw reason;
    const size = await put(place, unpacker, { want, stored, demand }, spent).catch(
      (thrown: unknown) => {
        const error = asPinfsError(thrown);
        // What is wrong with the spare helps nobody.
        throw ['CACHE_FULL', 'CACHE_UNUSABLE'].includes(error.code) ? reason : error;
      },
    );
    const { since, objects } = notStored ?? begun(reason);
    const { directory } = place.disk;
    notStored = { ...begun(reason), since, directory, objects: objects + 1 };
    return size;
  }

  return {
    get notStored() {
      return notStored;
    },
    notKept(reason) {
      notStored = begun(reason);
    },
    async keep(want, stored, demand) {
      const came = { want, stored, demand };
      if (cache instanceof PinfsError) return keepElsewhere(came, cache);
      try {
        if (!mayFit(want, cache.disk.limit)) throw diskFull(cache.disk.directory);
        const size = await put(cache, unpacker, came, spent);
        notStored = undefined;
        return size;
      } catch (thrown) {
        // At a limit that the user set reading ends; he may raise it.
        const isOfDisk = thrown instanceof DiskFull || isUnusable(thrown);
        if (!isOfDisk) throw thrown;
        return keepElsewhere(came, thrown);
      }
    },
  };
}

function begun({ message, advice }: PinfsError): NotStored {
  const since = new Date().toISOString();
  return { since, reason: message, advice, directory: undefined, objects: 0 };
}

function isUnusable(thrown: unknown): thrown is PinfsError {
  return thrown instanceof PinfsError && thrown.code === 'CACHE_UNUSABLE';
}

/** Whether what is promised is not too large for a limit from the beginning. */
export function mayFit(want: Want, limit: number): boolean {
  return want.size.kind === 'limit' || charge(want.size.bytes) <= limit;
}

/** What came of an object, and whether somebody waits for it. */
interface Came {
  readonly want: Want;
  readonly stored: Stored;
  readonly demand: Demand | undefined;
}

async function put(
  { disk, committer }: Target,
  unpacker: Pick<Unpacker, 'prepare'>,
  { want, stored, demand }: Came,
  spent: StoreSpent,
): Promise<number> {
  const key = wantKey(want);
  const isSmall = isBesideOthers(want, disk.smallBytesMax);
  const prepared = (temporary: string) =>
    spendWaiting(spent, 'store', () => unpacker.prepare(stored, want, temporary));
  for (let isSecond = false; ; isSecond = true) {
    const temporary = isSmall ? undefined : disk.temporary();
    try {
      const plain =
        temporary === undefined
          ? unpackSmall(stored, want, spent)
          : { temporary, ...(await prepared(temporary)) };
      await spendWaiting(spent, 'store', () => committer.add({ key, ...plain }, demand));
      return plain.size;
    } catch (thrown) {
      // The cache was lost meanwhile, and goes on in another place.
      const wasLost = !isSecond && temporary !== undefined && !disk.isInPlace(temporary);
      if (wasLost) continue;
      if (!(thrown instanceof NoRoom)) throw cacheUnusable(disk.directory, thrown);
      // Room is made once, for as much as is needed; what came is still here.
      if (isSecond) disk.noRoomAfterAll();
      if (isSecond || !disk.makeRoom(thrown.bytes, thrown.unmeasured))
        throw diskFull(disk.directory);
    }
  }
}

/** Content and catalogs of a promised size; what else is opened or read as a whole has a file of its own. */
export function isBesideOthers({ object, size }: Want, smallBytesMax: number): boolean {
  const { kind } = object;
  const mayBe = kind === 'data' || kind === 'chunk' || kind === 'catalog';
  return mayBe && size.kind === 'exact' && size.bytes <= smallBytesMax;
}

/** What is this small came in memory, whatever it was staged in. */
export function unpackSmall(stored: Stored, want: Want, spent: StoreSpent) {
  const bytes = Buffer.isBuffer(stored) ? stored : Buffer.concat([...piecesOf(stored)]);
  const plain = unpack(bytes, want, spent);
  const sha256 = spend(spent, 'verify', () => hash('sha256', plain, 'buffer'));
  return { plain, size: plain.length, sha256 };
}
