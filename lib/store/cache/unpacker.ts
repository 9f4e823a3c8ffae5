import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { threadCodeMb } from '../../machine/address-space.js';
import { unlinkIfThere } from './object-files.js';
import { NoRoom } from './full.js';
import { prepareObject, type Plain } from './prepare.js';
import type { Stored, StoredFile } from './stored.js';
import type { Want } from '../want.js';

export interface UnpackJob {
  readonly number: number;
  readonly stored: ArrayBuffer | StoredFile;
  readonly want: Want;
  readonly temporary: string;
}

export type UnpackAnswer = { readonly number: number } & (
  | { readonly size: number; readonly sha256: Uint8Array }
  | { readonly noRoom: Pick<NoRoom, 'bytes' | 'unmeasured'> }
  | { readonly refused: { readonly code: ErrorCode; readonly message: string } }
  | { readonly failed: { readonly code: string | undefined; readonly message: string } }
);

// Below it the work (about 1 ms) is not worth the way there; above it would hold up every request.
const inPlaceBytesMax = 256 * 1024;

// Of large objects that come one after the other each is there sooner.
const idleMs = 4000;

// More bring little: writing and fetching want the cores as well.
const threadsMax = 4;

interface Waiting {
  readonly stored: Stored;
  readonly want: Want;
  readonly temporary: string;
  readonly resolve: (done: Plain) => void;
  readonly reject: (error: Error) => void;
  tries: number;
}

/** A thread, and the jobs that it has, by number. */
interface Thread {
  readonly worker: Worker;
  readonly jobs: Map<number, Waiting>;
}

/** Verifies and writes objects; the large ones in as many threads as there are cores, begun when needed and again when one dies. */
export class Unpacker {
  readonly #threads = new Set<Thread>();
  readonly #threadsMax: number;
  #numbers = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(threads: number = availableParallelism()) {
    this.#threadsMax = Math.max(1, Math.min(threadsMax, threads));
  }

  /** For tests: the threads that there are. */
  get workers(): readonly Worker[] {
    return [...this.#threads].map(({ worker }) => worker);
  }

  /** As prepareObject; large objects in another thread. */
  async prepare(stored: Stored, want: Want, temporary: string): Promise<Plain> {
    if (Buffer.isBuffer(stored)) {
      const size = want.size.kind === 'exact' ? want.size.bytes : stored.length * 4;
      const isSmall = size <= inPlaceBytesMax && stored.length <= inPlaceBytesMax;
      if (isSmall) return prepareObject(stored, want, temporary);
    }
    return new Promise((resolve, reject) => {
      this.#send({ stored, want, temporary, resolve, reject, tries: 0 });
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const ending = [...this.#threads];
    this.#threads.clear();
    for (const { jobs } of ending) {
      for (const job of jobs.values())
        job.reject(new PinfsError('INTERRUPTED', 'the cache was closed'));
      jobs.clear();
    }
    await Promise.all(ending.map(({ worker }) => worker.terminate()));
  }

  /** The one with the least to do; a new one as long as there may be more. */
  #choose(): Thread {
    let chosen: Thread | undefined;
    for (const thread of this.#threads)
      if (chosen === undefined || thread.jobs.size < chosen.jobs.size) chosen = thread;
    const isFree = chosen?.jobs.size === 0;
    if (chosen !== undefined && (isFree || this.#threads.size >= this.#threadsMax)) return chosen;
    return this.#start();
  }

  #start(): Thread {
    const worker = new Worker(new URL('./unpack-worker.js', import.meta.url), {
      execArgv: [],
      resourceLimits: { codeRangeSizeMb: threadCodeMb },
    });
    const thread: Thread = { worker, jobs: new Map() };
    this.#threads.add(thread);
    worker.on('message', (answer: UnpackAnswer) => this.#settle(thread, answer));
    // What it died of does not matter: `exit` follows.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (!this.#threads.delete(thread)) return;
      for (const job of thread.jobs.values()) this.#send(job);
    });
    return thread;
  }

  #send(job: Waiting): void {
    if (job.tries++ >= 2) {
      job.reject(new PinfsError('INTERNAL', 'the thread that unpacks objects died'));
      return;
    }
    // What the thread that died had begun to write.
    if (job.tries > 1) unlinkIfThere(job.temporary);
    const { worker, jobs } = this.#choose();
    const number = ++this.#numbers;
    jobs.set(number, job);
    // As long as there is work the process does not end.
    worker.ref();
    // A copy of our own, to be handed over: the caller's buffer may be part of a larger one.
    const { stored, want, temporary } = job;
    if (!Buffer.isBuffer(stored)) {
      worker.postMessage({ number, stored, want, temporary } satisfies UnpackJob);
      return;
    }
    const copy = new ArrayBuffer(stored.length);
    stored.copy(new Uint8Array(copy));
    worker.postMessage({ number, stored: copy, want, temporary } satisfies UnpackJob, [copy]);
  }

  /** They keep nothing alive, and when all have been idle for a while their memory is given back. */
  #rest(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      for (const thread of this.#threads) {
        if (thread.jobs.size > 0) continue;
        this.#threads.delete(thread);
        void thread.worker.terminate();
      }
    }, idleMs).unref();
  }

  #settle({ worker, jobs }: Thread, answer: UnpackAnswer): void {
    const job = jobs.get(answer.number);
    if (job === undefined) return;
    jobs.delete(answer.number);
    if (jobs.size === 0) {
      worker.unref();
      this.#rest();
    }
    if ('noRoom' in answer) {
      job.reject(new NoRoom(answer.noRoom.bytes, answer.noRoom.unmeasured));
    } else if ('refused' in answer) {
      job.reject(new PinfsError(answer.refused.code, answer.refused.message));
    } else if ('failed' in answer) {
      job.reject(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }));
    } else {
      job.resolve({ size: answer.size, sha256: Buffer.from(answer.sha256) });
    }
  }
}
