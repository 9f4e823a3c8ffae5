import {
  parentPort,
  receiveMessageOnPort,
  workerData,
  type MessagePort,
} from 'node:worker_threads';
import type { LiveFacts } from '../../../filesystem/live-facts.js';
import { errno } from '../../../format/errno.js';
import { asPinfsError, PinfsError } from '../../../format/errors.js';
import { openBackings } from './backings.js';
import { openRecorder, type Recorder } from '../../recorder.js';
import { collectAtRest } from '../../../machine/rest.js';
import { systemCalls } from '../../../machine/system-calls.js';
import { incEpochMinor } from '../protocol/constants.js';
import type { FilesystemMaker } from './filesystem-maker.js';
import { runLoop, writeReply } from './loop.js';
import type {
  Built,
  FetchedObject,
  FromWorker,
  ToWorker,
  WorkerData,
  WorkerStart,
} from '../messages.js';
import { changeNotifications, incEpoch } from './notifications.js';
import { openSession, type KernelSession } from './session.js';
import { closeSnapshots, openSnapshots, replaceSnapshot, type Snapshots } from './snapshots.js';
import { counters, publishServed, publishSpent } from './statistics.js';
import { openTrace, type RequestTrace } from './trace.js';

/**
 * The thread that owns the device. Until `serve` it hears messages as any worker does; then it stays in
 * the loop, never returns to its event loop, and takes messages when it is woken.
 */
interface Worker {
  readonly port: MessagePort;
  /** Tells the main thread of an error, each once. */
  readonly report: (error: PinfsError) => void;
  readonly maker: FilesystemMaker;
  facts: LiveFacts | undefined;
  snapshots: Snapshots | undefined;
  session: KernelSession | undefined;
  trace: RequestTrace | undefined;
  recorder: Recorder | undefined;
  /** Writes a notification that can't block. */
  tell: ((message: Buffer) => void) | undefined;
  /** One identity for all tries to build the same snapshot. */
  building: { readonly id: number; readonly run: object };
}

/** What makes filesystems; the usual one is named here, so that a bundle holds it. */
async function loadMaker(
  maker: string | undefined,
): Promise<typeof import('./filesystem-maker.js')> {
  if (maker === undefined) return await import('./filesystem-maker.js');
  return (await import(maker)) as typeof import('./filesystem-maker.js');
}

async function main(port: MessagePort): Promise<void> {
  const { maker } = workerData as WorkerData;
  const report = openReport(port);
  const { openMaker } = await loadMaker(maker);
  const worker: Worker = {
    port,
    report,
    maker: openMaker(report),
    facts: undefined,
    snapshots: undefined,
    session: undefined,
    trace: undefined,
    recorder: undefined,
    tell: undefined,
    building: { id: 0, run: {} },
  };
  systemCalls();
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'serve') serve(worker, message.device, message.start);
    else if (!act(worker, message)) port.close();
  });
  post(port, { kind: 'ready' });
}

function post(port: MessagePort, message: FromWorker): void {
  port.postMessage(message);
}

/** Acts on one message; false: the worker is to end. */
function act(worker: Worker, message: ToWorker): boolean {
  const now = performance.now();
  switch (message.kind) {
    case 'build':
      worker.facts = message.facts;
      build(worker, message);
      return true;
    case 'have':
      if (message.evicted !== undefined) worker.maker.letGo?.(message.evicted);
      noteFetched(worker, message.fetched);
      worker.session?.have(message.key, now);
      return true;
    case 'fail':
      worker.session?.fail(message.key, message.errno, now, message.passing);
      return true;
    case 'news':
      worker.session?.hear(message.key, message, now);
      return true;
    case 'facts':
      worker.facts = message.facts;
      return true;
    case 'record':
      record(worker, message.on);
      return true;
    case 'fetched':
      noteFetched(worker, message.objects);
      return true;
    case 'leaveCache':
      worker.maker.leaveCache?.();
      return true;
    case 'reopen':
      worker.trace?.reopen();
      return true;
    case 'serve':
      return true;
    case 'stop':
      return false;
  }
}

function noteFetched(worker: Worker, objects: readonly FetchedObject[] = []): void {
  for (const [key, bytes] of objects) worker.recorder?.fetched(key, bytes);
}

function record(worker: Worker, on: boolean): void {
  const { port, maker } = worker;
  if (on) {
    worker.recorder ??= openRecorder({
      sink: (block, accesses) => {
        const message: FromWorker = { kind: 'recorded', block, accesses };
        port.postMessage(message, [block.buffer]);
      },
      caller: () => worker.session?.caller ?? 0,
    });
    maker.record?.(worker.recorder);
    return;
  }
  maker.record?.(undefined);
  worker.recorder?.flush();
  worker.recorder = undefined;
  post(port, { kind: 'recorded', block: undefined, accesses: 0 });
}

function build(worker: Worker, message: ToWorker & { kind: 'build' }): void {
  const { id, descriptor } = message;
  if (worker.building.id !== id) worker.building = { id, run: {} };
  const facts = () => ({ ...message.facts, ...worker.facts, ...ownFacts(worker) });
  let result: Built;
  let change: readonly Uint8Array[] | undefined;
  try {
    const outcome = worker.maker.make(descriptor, facts, worker.building.run);
    if (outcome.kind === 'done') {
      change = install(worker, outcome.value);
      result = { outcome: 'done' };
    } else if (outcome.kind === 'miss') result = { outcome: 'miss', want: outcome.want };
    else {
      const { error } = outcome;
      const message = error?.message ?? `errno ${outcome.errno}`;
      result = { outcome: 'failure', error: { code: error?.code ?? 'INTERNAL', message } };
    }
  } catch (error) {
    const { code, message } = asPinfsError(error);
    result = { outcome: 'failure', error: { code, message } };
  }
  post(worker.port, { kind: 'built', id, result, change });
}

function install(
  worker: Worker,
  built: Parameters<typeof openSnapshots>[0],
): readonly Uint8Array[] | undefined {
  const { snapshots, session } = worker;
  if (snapshots === undefined) {
    worker.snapshots = openSnapshots(built);
    return undefined;
  }
  // Listed before the change: it may close the old snapshot.
  const from = snapshots.current;
  const to = { ...built, epoch: 0, generation: 0, lookups: 0, opens: 0 };
  const minor = session?.service.connection?.minor ?? 0;
  const change = changeNotifications(minor, from, to);
  replaceSnapshot(snapshots, built, session?.service.settings.noOpen !== true);
  // At once, before another request is answered: it makes nobody wait, and the thread for all the
  // rest takes a tenth of a second to start. That one tells it again, for answers that were on their way.
  if (minor >= incEpochMinor) worker.tell?.(incEpoch());
  return change;
}

function ownFacts(worker: Worker): Partial<LiveFacts> {
  const service = worker.session?.service;
  if (service === undefined) return {};
  const { errors, lastError } = service.ioErrors;
  const hits = (worker.facts?.hits ?? 0) + (worker.maker.served?.()?.hits ?? 0);
  return {
    opens: service.opens,
    directoryOpens: service.directoryOpens,
    hits,
    errors: (worker.facts?.errors ?? 0) + errors,
    lastError: Math.max(worker.facts?.lastError ?? 0, lastError),
  };
}

function serve(worker: Worker, device: number, start: WorkerStart): void {
  const { port, report, snapshots } = worker;
  if (snapshots === undefined) throw new PinfsError('INTERNAL', 'told to serve without a snapshot');
  const calls = systemCalls();
  const counted = counters(start.counters);
  const trace = start.trace === undefined ? undefined : openTrace(start.trace, report);
  const clock = () => performance.now();
  const session = openSession({
    settings: start.settings,
    snapshots,
    counters: counted,
    beginRun: worker.maker.beginRun,
    write: (bytes, length) => {
      writeReply(calls, device, bytes, length);
    },
    clock,
    shelfMs: worker.maker.shelfMs,
    connected: (connection) => {
      if (typeof connection === 'string') post(port, { kind: 'refused', message: connection });
      else post(port, { kind: 'connected', minor: connection.minor });
    },
    miss: (key, { want, ahead }) => {
      const isOff = start.settings.aheadBytesMax === 0;
      const uses = worker.maker.recentUses?.();
      post(port, { kind: 'miss', key, want, ahead: isOff ? [] : (ahead ?? []), uses });
    },
    fetchAhead: (wants) => {
      post(port, { kind: 'ahead', wants });
    },
    joined: (key) => {
      post(port, { kind: 'joined', key });
    },
    drop: (key) => {
      post(port, { kind: 'drop', key });
    },
    report,
    backings: start.settings.wishes.passthrough ? openBackings(calls, device) : undefined,
    trace: trace?.line,
  });
  worker.session = session;
  worker.trace = trace;
  worker.tell = (message) => void calls.write(device, message, message.length);
  const rest = collectAtRest();
  const end = runLoop({
    calls,
    device,
    wake: start.wake,
    counters: counted,
    session,
    clock,
    takeMessages: () => takeMessages(worker),
    idle: () => {
      trace?.flush();
      worker.recorder?.idle();
      worker.maker.idle?.();
      const served = worker.maker.served?.();
      if (served !== undefined) publishServed(counted, served);
      const { spent } = session.service;
      publishSpent(counted, spent);
      rest(clock(), spent.catalog + spent.shelf + spent.reply);
    },
  });
  session.stop(errno.EIO);
  trace?.close();
  if (worker.recorder !== undefined) record(worker, false);
  closeSnapshots(snapshots);
  worker.maker.close();
  post(port, { kind: 'gone', reason: end });
  port.close();
}

// The same error is told once, until so many others were: all are counted anyway.
const errorsKeptMax = 256;

function openReport(port: MessagePort): (error: PinfsError) => void {
  const told = new Set<string>();
  return ({ code, message }) => {
    const key = `${code} ${message}`;
    if (told.has(key)) return;
    if (told.size >= errorsKeptMax) told.clear();
    told.add(key);
    post(port, { kind: 'error', error: { code, message } });
  };
}

function takeMessages(worker: Worker): boolean {
  for (;;) {
    const received = receiveMessageOnPort(worker.port) as { message: ToWorker } | undefined;
    if (received === undefined) return true;
    if (!act(worker, received.message)) return false;
  }
}

if (parentPort !== null) void main(parentPort);
