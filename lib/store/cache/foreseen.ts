import { LRUCache } from 'lru-cache';
import type { ObjectRecord, Statements } from './statements.js';

/**
 * Looks up records of objects, with those that were written behind them: who reads on in the order in which objects
 * came has found the next ones already. What the records said a moment ago may be wrong by now, as may a record
 * that was read just now; so this is for small objects alone, whose bytes are checked each time they are read.
 */
export interface Foreseen {
  /** The record of an object, as it is or was a moment ago. */
  find(key: string): ObjectRecord | undefined;
  /** What is said of an object next is looked up. */
  forget(key: string): void;
  clear(): void;
}

type Read = <T>(work: (sql: Statements) => T) => T | undefined;

interface Known {
  readonly record: ObjectRecord;
  readonly until: number;
  /** It was found by its neighbour, and nobody has asked for it. */
  isUnused: boolean;
}

const momentMs = 1000;
const knownMax = 1024;
const behindMin = 4;
const behindMax = 64;

/** @param clock milliseconds. */
export function openForeseen(read: Read, clock = () => performance.now()): Foreseen {
  const known = new LRUCache<string, Known>({ max: knownMax });
  // How many are looked up behind one, and how many of the last ones there were and were asked for.
  let behind = behindMin;
  let found = 0;
  let used = 0;

  function lookUp(sql: Statements, key: string): ObjectRecord | undefined {
    const record = sql.get.get(key);
    if (record === undefined || record.segment === null) return record;
    // Who jumps about gets fewer.
    behind = 2 * used >= found ? Math.min(behindMax, 2 * behind) : behindMin;
    const rows = sql.smallOnes.all(record.id, record.id + behind);
    const until = clock() + momentMs;
    known.set(key, { record, until, isUnused: false });
    for (const [other, id, size, sha256, usedAt, segment, place] of rows) {
      const behindIt = { id, size, sha256, stamp: '', used: usedAt, segment, place };
      known.set(other, { record: behindIt, until, isUnused: true });
    }
    found = rows.length;
    used = 0;
    return record;
  }

  return {
    find(key) {
      const it = known.get(key);
      if (it === undefined || it.until < clock()) return read((sql) => lookUp(sql, key));
      if (it.isUnused) used++;
      it.isUnused = false;
      return it.record;
    },
    forget: (key) => void known.delete(key),
    clear: () => known.clear(),
  };
}
