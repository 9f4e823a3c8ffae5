import type { Shelf } from './shelf.js';
import type { Want } from './want.js';

/** Hears of each access to a shelf, while that is recorded. */
export interface AccessLog {
  /** A run of an operation begins; the runs of one operation have the same object. */
  beginRun(operation: object): void;
  /** An object is not here: the run ends, and another one follows once it has come. */
  missed(want: Want): void;
  /** Bytes of an object were read. @param began milliseconds of `performance.now()`. */
  wasRead(want: Want, offset: number, length: number, began: number): void;
  /** All of an object is handed out: a catalog to be opened, a file that the kernel reads itself. @param path of it. */
  handedOut(want: Want, path: string | undefined, began: number): void;
  /** Objects that are not here will be fetched, and nobody waits for them. */
  expected(wants: readonly Want[]): void;
  /** A file was opened that begins with this object. */
  opened(want: Want): void;
}

/** The seam at which accesses are recorded: costs one look at a variable as long as nothing is. */
export function recordedShelf(shelf: Shelf): Shelf {
  let log: AccessLog | undefined;

  function whole<T>(want: Want, give: () => T | undefined): T | undefined {
    if (log === undefined) return give();
    const began = performance.now();
    const found = give();
    if (found === undefined) log.missed(want);
    else log.handedOut(want, typeof found === 'string' ? found : undefined, began);
    return found;
  }

  return {
    get hits() {
      return shelf.hits ?? 0;
    },
    get catalogHits() {
      return shelf.catalogHits ?? 0;
    },
    read(want, position, length, target, targetOffset) {
      if (log === undefined) return shelf.read(want, position, length, target, targetOffset);
      const began = performance.now();
      const found = shelf.read(want, position, length, target, targetOffset);
      if (found === undefined) log.missed(want);
      else log.wasRead(want, position, found, began);
      return found;
    },
    path: (want) => whole(want, () => shelf.path(want)),
    stillThere: () => shelf.stillThere?.() ?? true,
    descriptor: (want) => whole(want, () => shelf.descriptor(want)),
    has: (want) => shelf.has(want),
    isRecorded: (want) => shelf.isRecorded?.(want) ?? false,
    expect(wants, isHere) {
      shelf.expect?.(wants, isHere);
      if (log === undefined || isHere === true) return;
      log.expected(
        isHere === false ? wants : wants.filter((want) => shelf.isRecorded?.(want) === false),
      );
    },
    prepare: (want) => shelf.prepare?.(want),
    letGo: (keys) => shelf.letGo?.(keys),
    recentUses: () => shelf.recentUses?.() ?? new Map<number, number>(),
    leaveCache: () => shelf.leaveCache?.(),
    beginRun(operation) {
      log?.beginRun(operation);
      shelf.beginRun(operation);
    },
    opened(find) {
      if (log === undefined) return;
      const want = find();
      if (want !== undefined) log.opened(want);
    },
    record(next) {
      log = next;
    },
    close: () => shelf.close(),
  };
}
