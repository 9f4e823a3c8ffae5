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

interface Waiting {
  readonly stored: Stored;
  readonly want: Want;
  readonly temporary: string;
  readonly resolve: (done: Plain) => void;
  readonly reject: (error: Error) => void;
  tries: number;
}

/** Verifies and writes objects; one thread for the large ones, begun when first needed and again when it dies. */
export class Unpacker {
  readonly #waiting = new Map<number, Waiting>();
  #numbers = 0;
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;

  /** For tests: the thread, once there is one. */
  get worker(): Worker | undefined {
    return this.#worker;
  }

  /** As prepareObject; large objects in another thread. */
  async prepare(stored: Stored, want: Want, temporary: string): Promise<Plain> {
    if (Buffer.isBuffer(stored)) {
      const size = want.size.kind === 'exact' ? want.size.bytes : stored.length * 4;
      const isSmall = size <= inPlaceBytesMax && stored.length <= inPlaceBytesMax;
      if (isSmall) return prepareObject(stored, want, temporary);
    }
    return new Promise((resolve, reject) => {
      const job = { stored, want, temporary, resolve, reject, tries: 0 };
      const number = ++this.#numbers;
      this.#waiting.set(number, job);
      this.#send(number, job);
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const ending = this.#worker;
    this.#worker = undefined;
    for (const job of this.#waiting.values()) {
      job.reject(new PinfsError('INTERRUPTED', 'the cache was closed'));
    }
    this.#waiting.clear();
    await ending?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./unpack-worker.js', import.meta.url), {
      execArgv: [],
      resourceLimits: { codeRangeSizeMb: threadCodeMb },
    });
    worker.on('message', (answer: UnpackAnswer) => this.#settle(answer));
    // What it died of does not matter: `exit` follows.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      for (const [number, job] of this.#waiting) this.#send(number, job);
    });
    return worker;
  }

  #send(number: number, job: Waiting): void {
    if (job.tries++ >= 2) {
      this.#waiting.delete(number);
      job.reject(new PinfsError('INTERNAL', 'the thread that unpacks objects died'));
      return;
    }
    // What the thread that died had begun to write.
    if (job.tries > 1) unlinkIfThere(job.temporary);
    this.#worker ??= this.#start();
    // As long as there is work the process does not end.
    this.#worker.ref();
    // A copy of our own, to be handed over: the caller's buffer may be part of a larger one.
    const { stored, want, temporary } = job;
    if (!Buffer.isBuffer(stored)) {
      this.#worker.postMessage({ number, stored, want, temporary } satisfies UnpackJob);
      return;
    }
    const copy = new ArrayBuffer(stored.length);
    stored.copy(new Uint8Array(copy));
    this.#worker.postMessage({ number, stored: copy, want, temporary } satisfies UnpackJob, [copy]);
  }

  /** It keeps nothing alive, and when it has been idle for a while its memory is given back. */
  #rest(): void {
    const worker = this.#worker;
    worker?.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => {
      if (this.#waiting.size > 0 || this.#worker !== worker) return;
      this.#worker = undefined;
      void worker?.terminate();
    }, idleMs).unref();
  }

  #settle(answer: UnpackAnswer): void {
    const job = this.#waiting.get(answer.number);
    if (job === undefined) return;
    this.#waiting.delete(answer.number);
    if (this.#waiting.size === 0) this.#rest();
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
