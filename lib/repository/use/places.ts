/** Places for work that is done several at once. */
export interface Places {
  /** How many are taken. */
  readonly busy: number;
  /**
   * Waits for a place, begins the work in it, and does not wait for its end.
   * @throws what the first work that failed was rejected with; nothing is begun after that.
   */
  begin(work: () => Promise<void>): Promise<void>;
  /** Waits until one of those that are under way ends, if there are any. @throws as `begin`. */
  change(): Promise<void>;
  /** Waits until none is under way. @throws as `begin`, when all have ended. */
  end(): Promise<void>;
}

/** @param atOnce at least 1. */
export function openPlaces(atOnce: number): Places {
  let busy = 0;
  let waiting: (() => void)[] = [];
  let failed: { readonly reason: unknown } | undefined;

  const throwFailure = (): void => {
    if (failed !== undefined) throw failed.reason;
  };
  const oneEnds = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
    });
  const run = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (reason) {
      failed ??= { reason };
    }
    busy -= 1;
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };

  return {
    get busy() {
      return busy;
    },
    async begin(work) {
      while (busy >= atOnce) await oneEnds();
      throwFailure();
      busy += 1;
      void run(work);
    },
    async change() {
      if (busy > 0) await oneEnds();
      throwFailure();
    },
    async end() {
      while (busy > 0) await oneEnds();
      throwFailure();
    },
  };
}
