import { inodeOfDigest, pathDigest } from '../format/path-hash.js';

/** Shows inode numbers of 63 bits in 32. The same number for the same one, and for no other. */
export interface InodeNumbers {
  shown(ino: bigint): bigint;
}

/** A number of 63 bits, as two words, and the one of 32 bits that is shown for it. */
export interface GivenNumber {
  readonly low: number;
  readonly high: number;
  readonly number: number;
}

/**
 * Which number of 32 bits stands for which of 63: the lower word, or the next free one above it where that
 * one is another's. To tell a file that is seen again from one that collides, the upper word is kept as
 * well: 8 bytes in an open hash table, which is between three eighths and three quarters full.
 */
export interface InodeTable {
  /** The number that is shown; given now where it is asked for the first time. */
  numberOf(low: number, high: number): number;
  /** Takes in what was given before. False, and nothing changes: this file has a number, or another file has this one. */
  restore(given: GivenNumber): boolean;
  /** Whether something was given this number. */
  isTaken(number: number): boolean;
  readonly counts: InodeCounts;
}

export interface InodeCounts {
  /** Files that have a number. */
  readonly seen: number;
  /** Those whose lower word was another's. */
  readonly moved: number;
}

export interface TableOptions {
  /** Told of each number that is given by `numberOf`. */
  readonly onGiven?: (given: GivenNumber) => void;
  /** More files than this are not remembered: what collides from then on may change. */
  readonly seenMax?: number;
}

/** 128 MiB of table. */
export const inodesSeenMax = 2 ** 23;

// 0 is no inode for many programs, 1 the root of FUSE, and the highest means "unknown" to libfuse.
const reserved: ReadonlySet<number> = new Set([0, 1, 0xffff_ffff]);
const firstSlots = 2 ** 12;
const fullFraction = 0.75;
/** In the place of the upper word, of which 31 bits are used: the number is not its owner's lower word. */
const movedMark = 0x8000_0000;

const joined = new DataView(new ArrayBuffer(8));

const [rootLow, rootHigh] = inodeWords(inodeOfDigest(pathDigest('')));

/** Whether a number of 63 bits is that of the root. Its lower word is the root's in every table. */
export function isRootInode(low: number, high: number): boolean {
  return low === rootLow && high === rootHigh;
}

/** The lower and the upper word of a number of 63 bits. */
export function inodeWords(ino: bigint): readonly [number, number] {
  joined.setBigUint64(0, ino, true);
  return [joined.getUint32(0, true), joined.getUint32(4, true)];
}

export function createInodeTable({
  onGiven,
  seenMax = inodesSeenMax,
}: TableOptions = {}): InodeTable {
  let slots = createSlots(firstSlots);
  // By lower word.
  const moved = new Map<number, { readonly high: number; readonly number: number }[]>();
  let seen = 0;
  let movedCount = 0;
  const insert = (number: number, mark: number): void => {
    if (seen + 1 > slots.capacity * fullFraction) slots = grown(slots);
    slots.insert(number, mark);
    seen += 1;
  };
  const nextFree = (low: number): number => {
    let number = low;
    do number = (number + 1) >>> 0;
    while (reserved.has(number) || slots.markOf(number) !== undefined);
    return number;
  };
  const movedTo = (low: number, high: number): number | undefined =>
    moved.get(low)?.find((one) => one.high === high)?.number;
  const noteMoved = (low: number, high: number, number: number): void => {
    moved.set(low, [...(moved.get(low) ?? []), { high, number }]);
    movedCount += 1;
  };
  insert(rootLow, rootHigh);
  return {
    get counts() {
      return { seen, moved: movedCount };
    },
    isTaken: (number) => reserved.has(number) || slots.markOf(number) !== undefined,
    numberOf(low, high) {
      const mark = reserved.has(low) ? movedMark : slots.markOf(low);
      if (mark === high) return low;
      // Its lower word may be free now, and have been taken when it got its number.
      const known = movedTo(low, high);
      if (known !== undefined) return known;
      const number = mark === undefined ? low : nextFree(low);
      if (seen >= seenMax) return number;
      insert(number, mark === undefined ? high : movedMark);
      if (mark !== undefined) noteMoved(low, high, number);
      onGiven?.({ low, high, number });
      return number;
    },
    restore({ low, high, number }) {
      if (seen >= seenMax || reserved.has(number) || slots.markOf(number) !== undefined)
        return false;
      if (slots.markOf(low) === high || movedTo(low, high) !== undefined) return false;
      insert(number, number === low ? high : movedMark);
      if (number !== low) noteMoved(low, high, number);
      return true;
    },
  };
}

interface Slots {
  readonly capacity: number;
  /** Pairs of a number and a mark; number 0: free. */
  readonly words: Uint32Array;
  /** The mark of a number; undefined: it is free. */
  markOf(number: number): number | undefined;
  /** Of a number that is free. */
  insert(number: number, mark: number): void;
}

function createSlots(capacity: number): Slots {
  const words = new Uint32Array(capacity * 2);
  // The seed keeps a publisher from choosing names that all fall into one place of the table.
  const seed = Math.floor(Math.random() * 2 ** 32);
  const slotOf = (number: number): number => {
    let slot = scattered(number ^ seed) & (capacity - 1);
    for (;;) {
      const there = words[slot * 2];
      if (there === number || there === 0) return slot;
      slot = (slot + 1) & (capacity - 1);
    }
  };
  return {
    capacity,
    words,
    markOf: (number) => {
      const slot = slotOf(number) * 2;
      return words[slot] === 0 ? undefined : words[slot + 1];
    },
    insert: (number, mark) => {
      const slot = slotOf(number) * 2;
      words[slot] = number;
      words[slot + 1] = mark;
    },
  };
}

/** The mixing of MurmurHash3: each bit of the result depends on each bit given. */
function scattered(number: number): number {
  let mixed = Math.imul(number ^ (number >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return mixed ^ (mixed >>> 16);
}

function grown(old: Slots): Slots {
  const made = createSlots(old.capacity * 2);
  for (let at = 0; at < old.words.length; at += 2) {
    const number = old.words[at] ?? 0;
    if (number !== 0) made.insert(number, old.words[at + 1] ?? 0);
  }
  return made;
}
