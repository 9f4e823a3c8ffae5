import { Worker } from 'node:worker_threads';
import { processToken } from '../../../machine/process-token.js';
import type { LiveFacts } from '../../../filesystem/live-facts.js';
import type { SnapshotDescriptor } from '../../../filesystem/snapshot-descriptor.js';
import { machineFault, PinfsError } from '../../../format/errors.js';
import { threadCodeMb } from '../../../machine/address-space.js';
import type { Store } from '../../../store/store.js';
import { systemCalls, type Pipe } from '../../../machine/system-calls.js';
import type { Fetches } from './fetches.js';
import type { Built, FromWorker, ToWorker, WorkerData, WorkerStart } from '../messages.js';
import { raiseFlag, type Counters } from '../worker/statistics.js';
import { openEnding } from '../../../source/ending.js';

/** The main thread's side of the worker: messages there and back, and its end. */
export interface Link {
  /** Makes the filesystem of a snapshot descriptor in the worker, fetching what it lacks. @throws PinfsError what is wrong with it. */
  readonly build: (
    descriptor: SnapshotDescriptor,
    facts: LiveFacts,
    store: Pick<Store, 'fetch'>,
  ) => Promise<readonly Uint8Array[] | undefined>;
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
  readonly fetches: (send: Link['send'], sendLater: Link['sendLater']) => Fetches;
  readonly error: (text: string) => void;
  /** Records of accesses; undefined: there are no more. */
  readonly recorded?: (block: Uint8Array<ArrayBuffer> | undefined, accesses: number) => void;
}

type Gone = FromWorker & { readonly kind: 'gone' };
type BuiltMessage = FromWorker & { readonly kind: 'built' };

interface Wait<Value> {
  readonly promise: Promise<Value>;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: PinfsError) => void;
}

// Each try to build a filesystem needs at least one more object than the last.
const triesMax = 64;

/** What a thread did before somebody listened to it: its messages are not kept for later. */
interface Early {
  ready: boolean;
  over: boolean;
  error: Error | undefined;
}

const earlyLives = new WeakMap<Worker, Early>();

// The smaller the limit, the less garbage the engine lets pile up: with this one about as much again as what
// is in use, with its own up to four times that. A tree's caches need a tenth of it (bench/million.ts).
const memoryLimits = {
  maxOldGenerationSizeMb: 1024,
  maxYoungGenerationSizeMb: 6,
  codeRangeSizeMb: threadCodeMb,
};

/** Starts a worker thread. Until a link is opened with it, it keeps nothing alive. */
export function startThread(maker?: string): Worker {
  const workerData: WorkerData = { maker };
  // It finds by it what the store of this process can't put into its cache.
  processToken();
  const thread = new Worker(new URL('../worker/worker.js', import.meta.url), {
    workerData,
    name: 'pinfs-fuse',
    resourceLimits: memoryLimits,
  });
  const early: Early = { ready: false, over: false, error: undefined };
  earlyLives.set(thread, early);
  thread.on('message', (message: FromWorker) => {
    if (message.kind === 'ready') early.ready = true;
  });
  thread.on('error', (error: Error) => {
    early.error = error;
  });
  thread.once('exit', () => {
    early.over = true;
  });
  thread.unref();
  return thread;
}

/** Resolves when the worker is ready for messages. @throws PinfsError of its start. */
export async function openLink(options: LinkOptions): Promise<Link> {
  const worker = options.thread;
  const early = earlyLives.get(worker);
  if (early?.over === true) throw endedWith(early.error);
  worker.ref();
  const state: State = {
    options,
    ready: waitFor<undefined>(),
    connected: waitFor<undefined>(),
    builds: new Map(),
    ending: openEnding(),
    over: false,
    gone: undefined,
    thrown: undefined,
    nextId: 0,
  };
  if (early?.ready === true) state.ready.resolve(undefined);
  const send = (message: ToWorker) => {
    sendTo(state, message, true);
  };
  const sendLater = (message: ToWorker) => {
    sendTo(state, message, false);
  };
  const fetches = options.fetches(send, sendLater);
  worker.on('message', (message: FromWorker) => {
    receive(state, fetches, message);
  });
  worker.on('error', (error: Error) => {
    state.thrown = error;
  });
  const ended = new Promise<LinkEnd>((resolve) => {
    worker.once('exit', () => {
      fetches.stop();
      resolve(endOf(state));
    });
  });
  await state.ready.promise;
  return {
    build: (descriptor, facts, store) => build(state, descriptor, facts, store),
    serve: (device) => {
      send({ kind: 'serve', device, start: options.start });
      return state.connected.promise;
    },
    send,
    sendLater,
    ended,
  };
}

interface State {
  readonly options: LinkOptions;
  readonly ready: Wait<undefined>;
  readonly connected: Wait<undefined>;
  readonly builds: Map<number, Wait<BuiltMessage>>;
  /** What is fetched for the worker ends with it. */
  readonly ending: AbortController;
  over: boolean;
  gone: Gone | undefined;
  thrown: Error | undefined;
  nextId: number;
}

const byte = Buffer.from([1]);

function sendTo({ options, over }: State, message: ToWorker, wake: boolean): void {
  if (over) return;
  options.thread.postMessage(message);
  raiseFlag(options.counters);
  // A full pipe means that a wake-up is under way.
  if (wake) systemCalls().write(options.wake.write, byte, 1);
}

function receive(state: State, fetches: Fetches, message: FromWorker): void {
  switch (message.kind) {
    case 'ready':
      state.ready.resolve(undefined);
      return;
    case 'connected':
      state.connected.resolve(undefined);
      return;
    case 'refused':
      state.connected.reject(new PinfsError('MOUNT_FAILED', message.message));
      return;
    case 'built':
      state.builds.get(message.id)?.resolve(message);
      state.builds.delete(message.id);
      return;
    case 'miss':
      fetches.miss(message.key, message.want, message.ahead, message.uses);
      return;
    case 'ahead':
      fetches.ahead(message.wants);
      return;
    case 'joined':
      fetches.joined(message.key);
      return;
    case 'drop':
      fetches.drop(message.key);
      return;
    case 'recorded':
      state.options.recorded?.(message.block, message.accesses);
      return;
    case 'error':
      state.options.error(`${message.error.code}: ${message.error.message}`);
      return;
    case 'gone':
      state.gone = message;
  }
}

/** The thread is over: whoever waits for it hears why. */
function endOf(state: State): LinkEnd {
  state.over = true;
  state.ending.abort();
  const error = endedWith(state.thrown);
  for (const wait of [state.ready, state.connected, ...state.builds.values()]) wait.reject(error);
  if (state.gone !== undefined) return { reason: state.gone.reason };
  return { reason: 'failed', message: error.message };
}

function endedWith(cause: Error | undefined): PinfsError {
  const fault = machineFault(cause);
  if (fault !== undefined) return fault;
  const message = cause?.message ?? 'the thread that serves the device ended';
  return new PinfsError('MOUNT_FAILED', message, { cause });
}

async function build(
  state: State,
  descriptor: SnapshotDescriptor,
  facts: LiveFacts,
  store: Pick<Store, 'fetch'>,
): Promise<readonly Uint8Array[] | undefined> {
  state.nextId += 1;
  const id = state.nextId;
  for (let tries = 0; tries < triesMax; tries += 1) {
    const wait = waitFor<BuiltMessage>();
    state.builds.set(id, wait);
    if (state.over) wait.reject(new PinfsError('NOT_MOUNTED', 'the mount has ended'));
    sendTo(state, { kind: 'build', id, descriptor, facts }, true);
    const { result, change } = await wait.promise;
    if (result.outcome === 'done') return change;
    if (result.outcome === 'failure') throw failed(result);
    await store.fetch(result.want, state.ending.signal, { brief: true, readElsewhere: true });
  }
  throw new PinfsError('INTERNAL', `the snapshot still lacks an object after ${triesMax} tries`);
}

function failed(result: Built & { outcome: 'failure' }): PinfsError {
  return new PinfsError(result.error.code, result.error.message);
}

function waitFor<Value>(): Wait<Value> {
  let settle: Pick<Wait<Value>, 'resolve' | 'reject'> | undefined;
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
