import { Worker } from 'node:worker_threads';
import type { LiveFacts } from '../../filesystem/live-facts.js';
import type { Recipe } from '../../filesystem/recipe.js';
import { PinfsError } from '../../format/errors.js';
import type { Store } from '../../store/store.js';
import { systemCalls, type Pipe } from './device.js';
import type { Fetches } from './fetches.js';
import type {
  Built,
  FromWorker,
  Notifications,
  ToWorker,
  WorkerData,
  WorkerStart,
} from './messages.js';
import { raiseFlag, type Counters } from './statistics.js';

/** The main thread's side of the worker: messages there and back, and its end. */
export interface Link {
  /** Makes the filesystem of a recipe in the worker, fetching what it lacks. @throws PinfsError what is wrong with it. */
  readonly build: (
    recipe: Recipe,
    facts: LiveFacts,
    store: Pick<Store, 'fetch'>,
  ) => Promise<Notifications | undefined>;
  /** Begins to serve; resolves when INIT is answered. @throws PinfsError MOUNT_FAILED. */
  readonly serve: (device: number) => Promise<void>;
  readonly send: (message: ToWorker) => void;
  /** Sends without waking: the worker sees it at its next request, or after a second. */
  readonly sendLater: (message: ToWorker) => void;
  /** How the loop ended, once the thread is over. Never rejects. */
  readonly ended: Promise<LinkEnd>;
}

export type LinkEnd =
  | { readonly reason: 'unmounted' | 'aborted' | 'stopped' }
  | { readonly reason: 'failed'; readonly message: string };

export interface LinkOptions {
  readonly thread: Worker;
  readonly start: WorkerStart;
  readonly counters: Counters;
  readonly wake: Pipe;
  readonly fetches: (send: Link['send']) => Fetches;
  readonly error: (text: string) => void;
}

type Gone = FromWorker & { readonly kind: 'gone' };

interface Wait<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: PinfsError) => void;
}

// Each try to build a filesystem needs at least one more object than the last.
const mostTries = 64;

/** What a thread did before somebody listened to it: its messages are not kept for later. */
const early = new WeakMap<Worker, { ready: boolean; over: boolean; error: Error | undefined }>();

/** Starts a worker thread. Until a link is opened with it, it keeps nothing alive. */
export function startThread(maker: string): Worker {
  const workerData: WorkerData = { maker };
  const thread = new Worker(new URL('./worker.js', import.meta.url), {
    workerData,
    name: 'pinfs-fuse',
  });
  const state = { ready: false, over: false, error: undefined as Error | undefined };
  early.set(thread, state);
  thread.on('message', (message: FromWorker) => {
    if (message.kind === 'ready') state.ready = true;
  });
  thread.on('error', (error: Error) => {
    state.error = error;
  });
  thread.once('exit', () => {
    state.over = true;
  });
  thread.unref();
  return thread;
}

/** Resolves when the worker is ready for messages. @throws PinfsError of its start. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const calls = systemCalls();
  const { counters, wake } = options;
  const worker = options.thread;
  const before = early.get(worker);
  if (before?.over === true) {
    const message = before.error?.message ?? 'the thread that serves the device ended';
    throw new PinfsError('MOUNT_FAILED', message, { cause: before.error });
  }
  worker.ref();
  let over = false;
  let gone: Gone | undefined;
  let thrown: Error | undefined;
  const ready = waitFor<undefined>();
  if (before?.ready === true) ready.resolve(undefined);
  const connected = waitFor<undefined>();
  const builds = new Map<number, Wait<FromWorker & { kind: 'built' }>>();
  const sendLater = (message: ToWorker) => {
    if (over) return;
    worker.postMessage(message);
    raiseFlag(counters);
  };
  const byte = Buffer.from([1]);
  const send = (message: ToWorker) => {
    sendLater(message);
    // A full pipe means that a wake-up is under way.
    if (!over) calls.write(wake.write, byte, 1);
  };
  const fetches = options.fetches(send);
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'ready') ready.resolve(undefined);
    else if (message.kind === 'connected') connected.resolve(undefined);
    else if (message.kind === 'refused') {
      connected.reject(new PinfsError('MOUNT_FAILED', message.message));
    } else if (message.kind === 'built') {
      builds.get(message.id)?.resolve(message);
      builds.delete(message.id);
    } else if (message.kind === 'miss') fetches.miss(message.key, message.want, message.ahead);
    else if (message.kind === 'drop') fetches.drop(message.key);
    else if (message.kind === 'error') {
      options.error(`${message.error.code}: ${message.error.message}`);
    } else gone = message;
  });
  worker.on('error', (error: Error) => {
    thrown = error;
  });
  const ended = new Promise<LinkEnd>((resolve) => {
    worker.once('exit', () => {
      over = true;
      fetches.stop();
      const message = thrown?.message ?? 'the thread that serves the device ended';
      const error = new PinfsError('MOUNT_FAILED', message, { cause: thrown });
      for (const wait of [ready, connected, ...builds.values()]) wait.reject(error);
      resolve(gone === undefined ? { reason: 'failed', message } : { reason: gone.reason });
    });
  });
  let nextId = 0;
  const buildOnce = (id: number, recipe: Recipe, facts: LiveFacts) => {
    const wait = waitFor<FromWorker & { kind: 'built' }>();
    builds.set(id, wait);
    if (over) wait.reject(new PinfsError('NOT_MOUNTED', 'the mount has ended'));
    send({ kind: 'build', id, recipe, facts });
    return wait.promise;
  };
  const build: Link['build'] = async (recipe, facts, store) => {
    nextId += 1;
    const id = nextId;
    for (let tries = 0; tries < mostTries; tries += 1) {
      const { result, change } = await buildOnce(id, recipe, facts);
      if (result.outcome === 'done') return change;
      if (result.outcome === 'failure') throw failed(result);
      await store.fetch(result.want);
    }
    throw new PinfsError('INTERNAL', `the snapshot still lacks an object after ${mostTries} tries`);
  };
  await ready.promise;
  const serve = (device: number) => {
    send({ kind: 'serve', device, start: options.start });
    return connected.promise;
  };
  return { build, serve, send, sendLater, ended };
}

function failed(result: Built & { outcome: 'failure' }): PinfsError {
  return new PinfsError(result.error.code, result.error.message);
}

function waitFor<Value>(): Wait<Value> & { readonly promise: Promise<Value> } {
  let settle: Wait<Value> | undefined;
  const promise = new Promise<Value>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Nobody may be waiting when the worker ends.
  promise.catch(() => undefined);
  return {
    promise,
    resolve: (value) => settle?.resolve(value),
    reject: (error) => settle?.reject(error),
  };
}
