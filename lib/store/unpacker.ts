import { Worker } from 'node:worker_threads';
import { PinfsError, type ErrorCode } from '../format/errors.js';
import { unlinkIfThere } from './disk-shelf.js';
import { prepareObject } from './prepare.js';
import type { Want } from './want.js';

export interface UnpackJob {
  readonly number: number;
  readonly stored: ArrayBuffer;
  readonly want: Want;
  readonly temporary: string;
}

export type UnpackAnswer = { readonly number: number } & (
  | { readonly size: number; readonly sha256: Uint8Array }
  | { readonly refused: { readonly code: ErrorCode; readonly message: string } }
  | { readonly failed: { readonly code: string | undefined; readonly message: string } }
);

export interface Unpacker {
  /** As prepareObject; large objects in another thread. */
  prepare(stored: Buffer, want: Want, temporary: string): Promise<{ size: number; sha256: Buffer }>;
  close(): Promise<void>;
  /** For tests: the thread, once there is one. */
  readonly worker: Worker | undefined;
}

// Below it the work (about 1 ms) is not worth the way there; above it would hold up every request.
const inPlace = 256 * 1024;

interface Waiting {
  readonly stored: Buffer;
  readonly want: Want;
  readonly temporary: string;
  readonly resolve: (done: { size: number; sha256: Buffer }) => void;
  readonly reject: (error: Error) => void;
  tries: number;
}

/** Verifies and writes objects; one thread for the large ones, begun when first needed and again when it dies. */
export function openUnpacker(): Unpacker {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let numbers = 0;

  function start(): Worker {
    const started = new Worker(new URL('./unpack-worker.js', import.meta.url), { execArgv: [] });
    started.on('message', (answer: UnpackAnswer) => settle(answer));
    started.on('error', () => undefined);
    started.on('exit', () => {
      if (worker !== started) return;
      worker = undefined;
      for (const [number, job] of waiting) send(number, job);
    });
    return started;
  }

  function send(number: number, job: Waiting): void {
    if (job.tries++ >= 2) {
      waiting.delete(number);
      job.reject(new PinfsError('INTERNAL', 'the thread that unpacks objects died'));
      return;
    }
    // What the thread that died had begun to write.
    if (job.tries > 1) unlinkIfThere(job.temporary);
    worker ??= start();
    worker.ref();
    // A copy of our own, to be handed over: the caller's buffer may be part of a larger one.
    const stored = new ArrayBuffer(job.stored.length);
    job.stored.copy(new Uint8Array(stored));
    const { want, temporary } = job;
    worker.postMessage({ number, stored, want, temporary } satisfies UnpackJob, [stored]);
  }

  function settle(answer: UnpackAnswer): void {
    const job = waiting.get(answer.number);
    if (job === undefined) return;
    waiting.delete(answer.number);
    if (waiting.size === 0) worker?.unref();
    if ('refused' in answer) {
      job.reject(new PinfsError(answer.refused.code, answer.refused.message));
    } else if ('failed' in answer) {
      job.reject(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }));
    } else {
      job.resolve({ size: answer.size, sha256: Buffer.from(answer.sha256) });
    }
  }

  return {
    get worker() {
      return worker;
    },
    async prepare(stored, want, temporary) {
      const size = want.size.kind === 'exact' ? want.size.bytes : stored.length * 4;
      if (size <= inPlace && stored.length <= inPlace)
        return prepareObject(stored, want, temporary);
      return new Promise((resolve, reject) => {
        const job = { stored, want, temporary, resolve, reject, tries: 0 };
        const number = ++numbers;
        waiting.set(number, job);
        send(number, job);
      });
    },
    async close() {
      const ending = worker;
      worker = undefined;
      for (const job of waiting.values()) {
        job.reject(new PinfsError('INTERRUPTED', 'the cache was closed'));
      }
      waiting.clear();
      await ending?.terminate();
    },
  };
}
