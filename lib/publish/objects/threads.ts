import { Worker } from 'node:worker_threads';
import { PinfsError } from '../../format/errors.js';
import { threadCodeMb } from '../../machine/address-space.js';
import {
  Changed,
  Unreadable,
  type CutDone,
  type CutJob,
  type JobInput,
  type PackDone,
  type PackJob,
} from './job.js';
import { Unwritable } from './place.js';

/** Several go in one message; the answers come in one, in their order. */
export type ThreadQuestion = PackJob | CutJob;

export type ThreadAnswer =
  | { readonly done: PackDone | CutDone }
  | { readonly changed: true }
  | { readonly unreadable: string }
  | { readonly unwritable: ThreadFailure }
  | { readonly failed: ThreadFailure };

interface ThreadFailure {
  readonly code: string | undefined;
  readonly message: string;
}

/** Threads in which jobs are done, each the next when it is free. */
export interface ObjectThreads {
  pack(job: PackJob): Promise<PackDone>;
  /** Goes before jobs that wait: others are made from its outcome. */
  cut(job: CutJob): Promise<CutDone>;
  close(): Promise<void>;
}

interface Waiting {
  readonly job: ThreadQuestion;
  readonly resolve: (done: PackDone | CutDone) => void;
  readonly reject: (error: Error) => void;
}

interface Thread {
  readonly worker: Worker;
  /** What it has not answered, message by message. */
  readonly asked: Waiting[][];
}

// The one that it does, and one to go on with while the answer travels.
const messagesAtOnce = 2;
// A message costs more than many a small file does.
const jobsInMessage = 32;
const bytesInMessage = 2 ** 20;

/** How many jobs a thread has at most. */
export const jobsOfThreadMax = messagesAtOnce * jobsInMessage;

/** Threads that are started as they are needed. */
export function makeThreads(most: number): ObjectThreads {
  const threads = new Set<Thread>();
  const queue: Waiting[] = [];
  let isClosed = false;

  const start = (): Thread => {
    const worker = new Worker(new URL('./object-worker.js', import.meta.url), {
      execArgv: [],
      resourceLimits: { codeRangeSizeMb: threadCodeMb },
    });
    const thread: Thread = { worker, asked: [] };
    threads.add(thread);
    let cause: unknown;
    worker.on('message', (answers: readonly ThreadAnswer[]) => {
      for (const [index, waiting] of (thread.asked.shift() ?? []).entries()) {
        const answer = answers[index];
        if (answer !== undefined) settle(waiting, answer);
      }
      feed();
    });
    worker.on('error', (error) => (cause = error));
    worker.on('exit', () => {
      threads.delete(thread);
      const error = isClosed
        ? new PinfsError('INTERRUPTED', 'the writing of objects was ended')
        : new PinfsError('INTERNAL', 'a thread that makes objects died', { cause });
      for (const { reject } of thread.asked.splice(0).flat()) reject(error);
    });
    return thread;
  };
  const free = (): Thread | undefined => {
    let chosen: Thread | undefined;
    for (const thread of threads)
      if (chosen === undefined || thread.asked.length < chosen.asked.length) chosen = thread;
    if (threads.size < most && chosen?.asked.length !== 0) return start();
    return chosen !== undefined && chosen.asked.length < messagesAtOnce ? chosen : undefined;
  };
  const feed = (): void => {
    while (queue.length > 0) {
      const thread = free();
      if (thread === undefined) return;
      const message = nextOf(queue);
      thread.asked.push(message);
      thread.worker.postMessage(message.map(({ job }) => job));
    }
  };
  const ask = (job: ThreadQuestion, isUrgent: boolean) =>
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

/** Takes from a queue what goes into one message. */
function nextOf(queue: Waiting[]): Waiting[] {
  let [count, bytes] = [0, 0];
  for (const { job } of queue) {
    const size = job.kind === 'cut' ? bytesInMessage : sizeOf(job.input);
    if (count > 0 && (count >= jobsInMessage || bytes + size > bytesInMessage)) break;
    count++;
    bytes += size;
  }
  return queue.splice(0, count);
}

function sizeOf(input: JobInput): number {
  return 'bytes' in input ? input.bytes.length : input.size;
}

function settle({ resolve, reject }: Waiting, answer: ThreadAnswer): void {
  if ('done' in answer) resolve(answer.done);
  else if ('changed' in answer) reject(new Changed());
  else if ('unreadable' in answer) reject(new Unreadable(answer.unreadable));
  else if ('unwritable' in answer)
    reject(new Unwritable(Object.assign(new Error(answer.unwritable.message), answer.unwritable)));
  else reject(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }));
}
