import type { Evidence, Judgement } from '../../trust/judge/judge.js';

/** A head, and what it was judged by. */
export interface JudgedHead extends Judgement {
  readonly evidence: Evidence;
}

// Once one mirror has a valid head, the others have so long for theirs (ms), or as long again as it took.
const othersMsMin = 500;
const othersMsMax = 3_000;

/**
 * Asks all mirrors at once: the newest valid head of those that answer in time, of equal ones the first. If none is
 * valid, the one that came furthest.
 */
export async function newestHead(
  asks: readonly ((signal: AbortSignal) => Promise<JudgedHead>)[],
  signal: AbortSignal,
): Promise<JudgedHead> {
  const began = performance.now();
  const ending = new AbortController();
  const heads: (JudgedHead | undefined)[] = asks.map(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const stop = (): void => ending.abort();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    await new Promise<void>((resolve, reject) => {
      ending.signal.addEventListener('abort', () => resolve());
      const asked = asks.map(async (ask, index) => {
        const head = await ask(ending.signal);
        heads[index] = head;
        if (head.failure !== undefined || timer !== undefined) return;
        const took = performance.now() - began;
        const left = Math.min(othersMsMax, Math.max(othersMsMin, took));
        timer = setTimeout(resolve, left);
      });
      Promise.all(asked).then(() => resolve(), reject);
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
    ending.abort();
  }
  const best = bestOf(heads);
  // Interrupted before anybody answered.
  return best ?? (await (asks[0] ?? failing)(signal));
}

function failing(): Promise<never> {
  return Promise.reject(new Error('there is no mirror'));
}

function bestOf(heads: readonly (JudgedHead | undefined)[]): JudgedHead | undefined {
  let best: JudgedHead | undefined;
  for (const head of heads) {
    if (head === undefined) continue;
    if (best === undefined || isBetter(head, best)) best = head;
  }
  return best;
}

function isBetter(one: JudgedHead, other: JudgedHead): boolean {
  const rank = ({ failure, manifest }: JudgedHead): number =>
    failure === undefined ? 2 : manifest === undefined ? 0 : 1;
  if (rank(one) !== rank(other)) return rank(one) > rank(other);
  const [a, b] = [one.manifest, other.manifest];
  if (a === undefined || b === undefined) return false;
  return a.revision !== b.revision ? a.revision > b.revision : a.published > b.published;
}
