import { Worker } from 'node:worker_threads';
import { PinfsError } from '../../format/errors.js';
import { threadCodeMb } from '../../machine/address-space.js';
import {
  Changed,
  Unreadable,
  type CutDone,
  type CutJob,
  type PackDone,
  type PackJob,
} from './job.js';

export type ThreadQuestion = { readonly number: number } & (PackJob | CutJob);

export type ThreadAnswer = { readonly number: number } & (
  | { readonly done: PackDone | CutDone }
  | { readonly changed: true }
  | { readonly unreadable: string }
  | { readonly failed: { readonly code: string | undefined; readonly message: string } }
);

/** ObjectThreads in which jobs are done, each the next when it is free. */
export interface ObjectThreads {
  pack(job: PackJob): Promise<PackDone>;
  /** Goes before jobs that wait: others are made from its outcome. */
  cut(job: CutJob): Promise<CutDone>;
  close(): Promise<void>;
}

interface Waiting {
  readonly job: PackJob | CutJob;
  readonly resolve: (done: PackDone | CutDone) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Waiting>;
}

// The one that it does, and some to go on with while the answer travels.
const jobsAtOnce = 3;

/** ObjectThreads that are started as they are needed. */
export function makeThreads(most: number): ObjectThreads {
  const threads = new Set<Thread>();
  const queue: Waiting[] = [];
  let numbers = 0;
  let isClosed = false;

  const start = (): Thread => {
    const worker = new Worker(new URL('./object-worker.js', import.meta.url), {
      execArgv: [],
      resourceLimits: { codeRangeSizeMb: threadCodeMb },
    });
    const thread: Thread = { worker, jobs: new Map() };
    threads.add(thread);
    let cause: unknown;
    worker.on('message', (answer: ThreadAnswer) => {
      const waiting = thread.jobs.get(answer.number);
      thread.jobs.delete(answer.number);
      if (waiting !== undefined) settle(waiting, answer);
      feed();
    });
    worker.on('error', (error) => (cause = error));
    worker.on('exit', () => {
      threads.delete(thread);
      const error = isClosed
        ? new PinfsError('INTERRUPTED', 'the writing of objects was ended')
        : new PinfsError('INTERNAL', 'a thread that makes objects died', { cause });
      for (const { reject } of thread.jobs.values()) reject(error);
      thread.jobs.clear();
    });
    return thread;
  };
  const free = (): Thread | undefined => {
    let chosen: Thread | undefined;
    for (const thread of threads)
      if (chosen === undefined || thread.jobs.size < chosen.jobs.size) chosen = thread;
    if (threads.size < most && chosen?.jobs.size !== 0) return start();
    return chosen !== undefined && chosen.jobs.size < jobsAtOnce ? chosen : undefined;
  };
  const feed = (): void => {
    while (queue.length > 0) {
      const thread = free();
      const waiting = thread && queue.shift();
      if (thread === undefined || waiting === undefined) return;
      const number = ++numbers;
      thread.jobs.set(number, waiting);
      thread.worker.postMessage({ ...waiting.job, number } satisfies ThreadQuestion);
    }
  };
  const ask = (job: PackJob | CutJob, isUrgent: boolean) =>
    new Promise<PackDone | CutDone>((resolve, reject) => {
      if (isClosed) {
        reject(new PinfsError('INTERRUPTED', 'the writing of objects was ended'));
        return;
      }
      if (isUrgent) queue.unshift({ job, resolve, reject });
      else queue.push({ job, resolve, reject });
      feed();
    });
  return {
    // Each kind of job has its own outcome (object-worker.ts).
    pack: (job) => ask(job, false) as Promise<PackDone>,
    cut: (job) => ask(job, true) as Promise<CutDone>,
    async close() {
      isClosed = true;
      const error = new PinfsError('INTERRUPTED', 'the writing of objects was ended');
      for (const { reject } of queue.splice(0)) reject(error);
      await Promise.all([...threads].map(({ worker }) => worker.terminate()));
    },
  };
}

function settle({ resolve, reject }: Waiting, answer: ThreadAnswer): void {
  if ('done' in answer) resolve(answer.done);
  else if ('changed' in answer) reject(new Changed());
  else if ('unreadable' in answer) reject(new Unreadable(answer.unreadable));
  else reject(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }));
}
