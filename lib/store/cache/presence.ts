import { makeOwner, type Owner } from './owners.js';
import type { Place } from './place.js';
import type { Records } from './records.js';
import { tick, type Statements } from './statements.js';

/** What the others that use a cache know of this store: that it lives, and what it holds. */
export interface Presence {
  /** The id of its owner. */
  readonly id: string;
  /** Whether others know of it now, in the directory that is held now. */
  isKnown(): boolean;
  /** One transaction in which it is known: a database that was begun anew, maybe in another place, doesn't know it yet. */
  write<T>(work: (sql: Statements) => T): T;
  /** Keeps an object from eviction, here and by other processes; counted. @throws as `write`; it counts from the next one. */
  hold(key: string, write: Presence['write']): void;
  release(key: string, write: Presence['write']): void;
  close(): void;
}

/** @param first an owner that was just made. @param begun called in a transaction that made it known anew. */
export function openPresence(
  place: Place,
  records: Pick<Records, 'write' | 'rebuilt' | 'isCurrent'>,
  first: Owner,
  begun: (sql: Statements) => void,
): Presence {
  let owner = first;
  const holds = new Map<string, number>();
  // For which of the databases, which may be begun anew, owner and holds are written; undefined: for none.
  let registered: number | undefined = records.rebuilt;

  /** Writes down again that we live, and what we hold. */
  function register(sql: Statements): void {
    if (owner.isInPlace(place.path)) sql.addOwner.run(owner.id);
    else {
      owner.close();
      owner = makeOwner(place, sql, owner.id);
    }
    for (const key of holds.keys()) sql.hold.run(key, owner.id);
    begun(sql);
  }

  return {
    get id() {
      return owner.id;
    },
    isKnown: () => records.isCurrent() && owner.isInPlace(place.path),
    write(work) {
      let now = registered;
      const result = records.write((sql) => {
        now = records.rebuilt;
        if (now !== registered || !owner.isInPlace(place.path)) register(sql);
        return work(sql);
      });
      registered = now;
      return result;
    },
    hold(key, write) {
      const count = holds.get(key) ?? 0;
      holds.set(key, count + 1);
      if (count > 0) return;
      try {
        write((sql) => sql.hold.run(key, owner.id));
      } catch (thrown) {
        registered = undefined;
        throw thrown;
      }
    },
    release(key, write) {
      const count = holds.get(key) ?? 0;
      if (count > 1) holds.set(key, count - 1);
      else if (holds.delete(key)) {
        write((sql) => {
          sql.touchHeld.run(tick(), owner.id);
          sql.release.run(key, owner.id);
        });
      }
    },
    close: () => owner.close(),
  };
}
