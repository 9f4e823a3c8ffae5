import { Worker } from 'node:worker_threads';
import { threadCodeMb } from '../../machine/address-space.js';
import type { Copied, Promised } from './checked-copy.js';

export interface CopyJob {
  readonly number: number;
  /** Where it may lie; the first that is right counts. */
  readonly paths: readonly string[];
  /** The cache in which it may lie beside others, and its key there. */
  readonly directory: string;
  readonly key: string;
  readonly promised: Promised;
  readonly target: string;
}

export interface CopyAnswer {
  readonly number: number;
  /** Buffers become plain arrays on their way between threads. */
  readonly copied: { readonly size: number; readonly sha256: Uint8Array } | undefined;
}

/** Copies objects in a thread of its own: it has to compress them, and what they lie on may be slow, or hang. */
export interface Copier {
  /** As `copyChecked`, of the first path that is right. Undefined also where it takes too long. Rejects never. */
  copy(job: Omit<CopyJob, 'number'>): Promise<Copied | undefined>;
  close(): Promise<void>;
}

// A network file system that hangs must not keep what a server may have (ms); and what compressing takes.
const waitMsMin = 5_000;
const bytesPerMsMin = 500;

export function openCopier(): Copier {
  const waiting = new Map<number, (copied: Copied | undefined) => void>();
  let numbers = 0;
  let worker: Worker | undefined;
  let isHung = false;
  let isClosed = false;

  const settle = (number: number, copied: Copied | undefined): void => {
    waiting.get(number)?.(copied);
    waiting.delete(number);
    if (waiting.size === 0) worker?.unref();
  };
  const start = (): Worker => {
    const started = new Worker(new URL('./copy-worker.js', import.meta.url), {
      execArgv: [],
      resourceLimits: { codeRangeSizeMb: threadCodeMb },
    });
    started.on('message', ({ number, copied }: CopyAnswer) => {
      isHung = false;
      settle(number, copied && { ...copied, sha256: Buffer.from(copied.sha256) });
    });
    // What it died of does not matter: `exit` follows.
    started.on('error', () => undefined);
    started.on('exit', () => {
      if (worker === started) worker = undefined;
      for (const number of waiting.keys()) settle(number, undefined);
    });
    return started;
  };

  const copyNow = (job: Omit<CopyJob, 'number'>): Promise<Copied | undefined> => {
    // It goes on when the thread answers again.
    if (isHung || isClosed) return Promise.resolve(undefined);
    const number = ++numbers;
    worker ??= start();
    worker.ref();
    worker.postMessage({ number, ...job } satisfies CopyJob);
    return new Promise((resolve) => {
      const { kind, bytes } = job.promised.size;
      const waitMs = waitMsMin + (kind === 'exact' ? bytes : 0) / bytesPerMsMin;
      const timer = setTimeout(() => {
        isHung = true;
        settle(number, undefined);
      }, waitMs);
      waiting.set(number, (copied) => {
        clearTimeout(timer);
        resolve(copied);
      });
    });
  };
  let last: Promise<unknown> = Promise.resolve();

  return {
    copy(job) {
      // One after the other, so that each is waited for from its own begin.
      const copied = last.then(() => copyNow(job));
      last = copied;
      return copied;
    },
    async close() {
      isClosed = true;
      const ending = worker;
      worker = undefined;
      for (const number of waiting.keys()) settle(number, undefined);
      await ending?.terminate();
    },
  };
}
