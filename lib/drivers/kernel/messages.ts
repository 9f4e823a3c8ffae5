import type { LiveFacts } from '../../filesystem/live-facts.js';
import type { SnapshotDescriptor } from '../../filesystem/snapshot-descriptor.js';
import type { ErrorCode } from '../../format/errors.js';
import type { RecentUses } from '../../store/shelf.js';
import type { Want } from '../../store/want.js';
import type { Settings } from './worker/service.js';

/** What the main thread and the worker say to each other; plain data. */

/** An error on its way between threads. */
export interface ErrorText {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Key and stored bytes. */
export type FetchedObject = readonly [string, number];

/** What a worker is told when it is made; it does not depend on what is to be mounted. */
export interface WorkerData {
  /** Module that makes the filesystem of a snapshot descriptor in the worker; undefined: filesystem-maker.ts. */
  readonly maker: string | undefined;
}

/** How to serve. */
export interface WorkerStart {
  readonly settings: Settings;
  /** Counters in shared memory. */
  readonly counters: SharedArrayBuffer;
  /** Reading end of the pipe that wakes the worker. */
  readonly wake: number;
  /** File for one line a request. */
  readonly trace: string | undefined;
}

export type ToWorker =
  /** Make the filesystem of a snapshot descriptor; answered by `built`. While serving: go over to it. */
  | {
      readonly kind: 'build';
      readonly id: number;
      readonly descriptor: SnapshotDescriptor;
      readonly facts: LiveFacts;
    }
  /** Serve this device; the last message before the worker enters its loop. */
  | { readonly kind: 'serve'; readonly device: number; readonly start: WorkerStart }
  /** An object is on the shelf. */
  | {
      readonly kind: 'have';
      readonly key: string;
      /** Objects that went since the last of these. */
      readonly evicted?: readonly string[] | undefined;
      /** As in `fetched`. */
      readonly fetched?: readonly FetchedObject[] | undefined;
    }
  /** Accesses are recorded from now on, or no more. */
  | { readonly kind: 'record'; readonly on: boolean }
  /** While that is done: objects that came, with the bytes that they took on their way. */
  | { readonly kind: 'fetched'; readonly objects: readonly FetchedObject[] }
  /** An object can't be had; `passing`: it may be here when it is asked for again. */
  | {
      readonly kind: 'fail';
      readonly key: string;
      readonly errno: number;
      readonly passing: boolean;
    }
  /** Bytes of an object have come since the last of these, or a try for it failed and is made again. */
  | {
      readonly kind: 'news';
      readonly key: string;
      readonly bytes: number;
      readonly trouble: { readonly errno: number; readonly error: ErrorText } | undefined;
    }
  /** Facts for the magic attributes. */
  | { readonly kind: 'facts'; readonly facts: LiveFacts }
  /** Keep nothing of the cache open to write. */
  | { readonly kind: 'leaveCache' }
  /** Go over to the file that lies at the path of the trace now. */
  | { readonly kind: 'reopen' }
  /** Answer what is held and leave the loop. */
  | { readonly kind: 'stop' };

export type Built =
  | { readonly outcome: 'done' }
  | { readonly outcome: 'miss'; readonly want: Want }
  | { readonly outcome: 'failure'; readonly error: ErrorText };

export type FromWorker =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'built';
      readonly id: number;
      readonly result: Built;
      /** Notifications that a change of the snapshot asks for (see notifications.ts). */
      readonly change: readonly Uint8Array[] | undefined;
    }
  /** INIT was answered: the mount can be used. */
  | { readonly kind: 'connected'; readonly minor: number }
  /** Nothing could be agreed with the kernel. */
  | { readonly kind: 'refused'; readonly message: string }
  | {
      readonly kind: 'miss';
      readonly key: string;
      readonly want: Want;
      readonly ahead: readonly Want[];
      /** What was used since the last of these. */
      readonly uses?: RecentUses | undefined;
    }
  | { readonly kind: 'joined'; readonly key: string }
  /** Objects that will be wanted next; nobody waits for them. */
  | { readonly kind: 'ahead'; readonly wants: readonly Want[] }
  | { readonly kind: 'drop'; readonly key: string }
  /** Records of accesses (see recorder.ts); undefined: there are no more. */
  | {
      readonly kind: 'recorded';
      readonly block: Uint8Array<ArrayBuffer> | undefined;
      readonly accesses: number;
    }
  | { readonly kind: 'error'; readonly error: ErrorText }
  /** The loop has ended. */
  | { readonly kind: 'gone'; readonly reason: 'unmounted' | 'aborted' | 'stopped' };

/** For the thread that writes notifications. */
export interface NotifierStart {
  readonly messages: readonly Uint8Array[];
  /** A descriptor of its own; it closes it. */
  readonly device: number;
}
