// What is looked at in one go, of the oldest; a query goes through all of them.
const candidatesAtOnceMax = 4096;

// Gaps that are left by objects that went before it is looked which segments can be given up (bytes).
const gapsBytesMax = 256 * 1024;

/** An object as it stood when a list was made. */
export interface Ranked {
  readonly id: number;
  readonly used: number;
  /** By which they go, lowest first. */
  readonly rank: number;
}

/** The objects of a cache, in whatever they are kept. */
export interface Evictable<Listed extends Ranked, Kept extends { readonly size: number }> {
  /** How many objects there are. */
  count(): number;
  /** What may go, behind a rank and id, the first to go first. */
  oldest(behind: Pick<Ranked, 'rank' | 'id'>, most: number): readonly Listed[];
  /** What has become of it; undefined: it may not go, or not yet, as it was used since. */
  now(listed: Listed): Kept | undefined;
  /** @returns bytes of the disk that are free now; 0: it leaves a gap. */
  remove(object: Kept): number;
  /** Closes gaps. @returns bytes of the disk that are free now. */
  compact(): number;
  /** What was listed before is used up: a moment to look what may go that could not until now. */
  listAgain(): void;
}

/** Takes objects out of a cache, those that go first by its policy. */
export interface Victims<Listed extends Ranked> {
  /**
   * Removes objects until the sum of what they took reaches `goal`, or all that may go are gone.
   * @returns bytes that were removed.
   */
  removeUntil<Kept extends { readonly size: number }>(
    from: Evictable<Listed, Kept>,
    goal: number,
  ): number;
}

export function openVictims<Listed extends Ranked>(): Victims<Listed> {
  // The first to go last.
  let candidates: Listed[] = [];

  /** All that may go: what is left of the last list, and then from the begin again. */
  function* inOrder<Kept extends { readonly size: number }>(
    from: Evictable<Listed, Kept>,
  ): Generator<Kept> {
    let behind: Pick<Ranked, 'rank' | 'id'> = { rank: -Infinity, id: -1 };
    for (let isFirst = true; ; isFirst = false) {
      for (let next = candidates.pop(); next !== undefined; next = candidates.pop()) {
        const object = from.now(next);
        if (object !== undefined) yield object;
      }
      if (isFirst) from.listAgain();
      // Only a part: what is new by then is not in the list, and may be older than its end.
      const some = Math.ceil(from.count() / 8);
      const page = from.oldest(behind, Math.min(candidatesAtOnceMax, some));
      const last = page.at(-1);
      if (last === undefined) return;
      behind = last;
      candidates = page.toReversed();
    }
  }

  return {
    removeUntil(from, goal) {
      let freed = from.compact();
      if (freed >= goal) return freed;
      // What lies in segments leaves gaps at first; they are closed once they make up for what it costs.
      let gaps = 0;
      for (const object of inOrder(from)) {
        const bytes = from.remove(object);
        freed += bytes;
        gaps += bytes === 0 ? object.size : 0;
        if (gaps >= gapsBytesMax) {
          freed += from.compact();
          gaps = 0;
        }
        if (freed >= goal) break;
      }
      return freed;
    },
  };
}
