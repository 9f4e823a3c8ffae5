import { errno } from '../../../format/errno.js';
import { asPinfsError, PinfsError } from '../../../format/errors.js';
import { objectText } from '../../../format/hash.js';
import { beginWait } from '../../../source/wait.js';
import { flightKey, type Miss, type Want } from '../../../store/want.js';
import { headerSize, outputSize } from '../protocol/constants.js';
import {
  hear,
  hold,
  nextDeadline,
  nothingHeld,
  overdue,
  recentFailure,
  releaseHeld,
  releaseOne,
  rememberFailure,
  type HeldRequests,
  type HeldRequest,
  type Trouble,
} from './held.js';
import type { Connection } from '../protocol/negotiation.js';
import { operationByNumber, unknownOpcode } from './opcodes.js';
import {
  copyFrame,
  encodeReplyHeader,
  inHeader,
  makeFrame,
  type Frame,
} from '../protocol/protocol.js';
import {
  openService,
  type KernelAnswer,
  type Call,
  type Service,
  type Settings,
} from './service.js';
import { snapshotOf, treeNode, type Snapshots } from './snapshots.js';
import type { Backings } from './backings.js';
import { isIoError } from '../../io-errors.js';
import { countError, countRequest, type Counters } from './statistics.js';

/**
 * One connection: takes requests, writes replies, and holds what waits for an object. It knows
 * neither the device nor the thread: all effects are in its options, and time is given to it.
 */
export interface KernelSession {
  /** Handles one request of the kernel. `now` in milliseconds, as in all of these. */
  handle(frame: Frame, now: number): void;
  /** An object is on the shelf: runs again what waited for it. */
  have(key: string, now: number): void;
  /** Bytes of an object have come, or a try to fetch it failed and is made again. */
  hear(key: string, news: { bytes: number; trouble: Trouble | undefined }, now: number): void;
  /** An object can't be had: answers those who waited for it. `passing`: it may be here when asked again. */
  fail(key: string, number: number, now: number, passing?: boolean): void;
  /** Answers those whose wait is over. */
  expire(now: number): void;
  /** Whether the next request is due at once: after a listing's last page the kernel asks whether there is more. */
  readonly isDue: boolean;
  /** Does a little of what will be asked for next; false: there is nothing. */
  ahead(): boolean;
  /** When `expire` has something to do next; Infinity: nothing is held. */
  readonly deadline: number;
  readonly heldCount: number;
  /** Process of the request that runs; 0: none does. */
  readonly caller: number;
  /** Answers everybody who waits, so that nobody hangs when the loop is left. */
  stop(number: number): void;
  readonly service: Service;
}

export interface SessionOptions {
  readonly settings: Settings;
  readonly snapshots: Snapshots;
  readonly counters: Counters;
  /** Marks the begin of a run of an operation (for the shelf). */
  readonly beginRun: (run: object) => void;
  /** Writes the first `length` bytes of a reply. */
  readonly write: (bytes: Buffer, length: number) => void;
  readonly clock: () => number;
  /** Milliseconds that reads of the shelf took so far, where that is measured. */
  readonly shelfMs?: (() => number) | undefined;
  readonly connected: (connection: Connection | string) => void;
  readonly miss: (key: string, miss: Miss) => void;
  /** Objects will be wanted next. */
  readonly fetchAhead: (wants: readonly Want[]) => void;
  /** One more waits for an object that was missed before: for him its fetch has to go on. */
  readonly joined: (key: string) => void;
  /** Nobody waits any more for an object. */
  readonly drop: (key: string) => void;
  /** An error of ours that a request met. */
  readonly report: (error: PinfsError) => void;
  /** Used if the kernel agrees to passthrough. */
  readonly backings?: Backings | undefined;
  /** Only while requests are traced: called after each, the frame still holds it. */
  readonly trace?: ((frame: Frame, result: number, microseconds: number) => void) | undefined;
}

// A bound on runs turns a fault of ours into an error instead of a loop (nested catalogs + chunks).
const triesMax = 64;

// A fetch for any of these goes on when its last waiter is interrupted: the kernel does not say
// that a buffered READ is unwanted, only that somebody is, and other readers wait for the same page.
const opcodeRead = 15;

export function openSession(options: SessionOptions): KernelSession {
  const held = nothingHeld();
  const output = makeFrame(outputSize);
  const service = openService(options, output, (unique) => {
    interrupt(state, unique);
  });
  const call: Call = {
    service,
    output,
    frame: output,
    snapshot: options.snapshots.current,
    node: 0,
    isRoot: true,
  };
  const state: State = {
    options,
    held,
    service,
    call,
    run: {},
    aheadRun: {},
    isAhead: false,
    deadline: Infinity,
  };
  return {
    service,
    get deadline() {
      return state.deadline;
    },
    get heldCount() {
      return held.byUnique.size;
    },
    get caller() {
      return state.isAhead ? 0 : inHeader.pid(call.frame);
    },
    handle: (frame, now) => {
      handle(state, frame, now);
    },
    have: (key, now) => {
      held.failed.forget(key);
      for (const request of releaseHeld(held, key)) runHeld(state, request, now);
      state.deadline = nextDeadline(held);
    },
    hear: (key, news, now) => {
      hear(held, key, news, now);
      state.deadline = nextDeadline(held);
    },
    fail: (key, number, now, passing = false) => {
      rememberFailure(held, key, { errno: number, passing }, now);
      for (const request of releaseHeld(held, key)) answerHeld(state, request, number);
      state.deadline = nextDeadline(held);
    },
    expire: (now) => {
      expire(state, now);
    },
    get isDue() {
      return service.isDue;
    },
    ahead: () => workAhead(state),
    stop: (number) => {
      for (const key of [...held.byKey.keys()]) {
        for (const request of releaseHeld(held, key)) answerHeld(state, request, number);
      }
      state.deadline = Infinity;
    },
  };
}

interface State {
  readonly options: SessionOptions;
  readonly held: HeldRequests;
  readonly service: Service;
  readonly call: Call;
  /** Identity of the operation that runs next; a new one after each that had to wait. */
  run: object;
  /** Likewise, of what is done ahead; a new one after each that did something. */
  aheadRun: object;
  /** What runs is asked by nobody. */
  isAhead: boolean;
  deadline: number;
}

function handle(state: State, frame: Frame, now: number): void {
  const { length } = frame;
  // The kernel never sends less than a header; without one there is nobody to answer.
  if (length < headerSize.request) return;
  const answer =
    inHeader.length(frame) === length
      ? runGuarded(state, frame, state.run)
      : errnoOnly(errno.EINVAL);
  if (typeof answer !== 'object' || answer.kind !== 'miss') {
    finish(state, frame, answer, now);
    return;
  }
  const key = flightKey(answer.want);
  const failed = recentFailure(state.held, key, now);
  if (failed !== undefined) {
    finish(state, frame, errnoOnly(failed), now);
    return;
  }
  const request: HeldRequest = {
    unique: inHeader.unique(frame),
    frame: copyFrame(frame),
    arrived: now,
    wait: beginWait(state.options.settings, now),
    run: state.run,
    keepsFetch: inHeader.opcode(frame) === opcodeRead,
    key,
    tries: 1,
  };
  state.run = {};
  park(state, request, answer);
}

function park(state: State, request: HeldRequest, miss: Miss): void {
  const first = hold(state.held, request, miss.want);
  state.deadline = Math.min(state.deadline, request.wait.end);
  if (first) state.options.miss(request.key, miss);
  else state.options.joined(request.key);
}

/** Runs a held request again, from its start. */
function runHeld(state: State, request: HeldRequest, now: number): void {
  const answer = runGuarded(state, request.frame, request.run);
  if (typeof answer !== 'object' || answer.kind !== 'miss') {
    finish(state, request.frame, answer, request.arrived);
    return;
  }
  const failed = recentFailure(state.held, flightKey(answer.want), now);
  request.tries += 1;
  if (failed !== undefined) answerHeld(state, request, failed);
  else if (request.tries > triesMax) {
    report(state, new PinfsError('INTERNAL', tooOften(request, answer.want)));
    answerHeld(state, request, errno.EIO);
  } else park(state, request, answer);
}

function tooOften(request: HeldRequest, want: Want): string {
  const name = operationByNumber[inHeader.opcode(request.frame)]?.name ?? '';
  return `${name} still lacks ${objectText(want.object)} after ${request.tries} runs`;
}

/** Runs the operation; an exception is a fault of our own and costs the client EIO, not the mount. */
function runGuarded(state: State, frame: Frame, run: object): KernelAnswer {
  const { spent } = state.service;
  const { clock, shelfMs } = state.options;
  const [begun, shelfBefore] = [clock(), shelfMs?.() ?? 0];
  try {
    state.options.beginRun(run);
    return runOperation(state.call, frame);
  } catch (error) {
    return { kind: 'failure', errno: errno.EIO, error: asPinfsError(error) };
  } finally {
    const shelf = (shelfMs?.() ?? 0) - shelfBefore;
    spent.shelf += shelf;
    spent.catalog += clock() - begun - shelf;
  }
}

/** Whatever goes wrong in it, the client that asks for the same will be told. */
function workAhead(state: State): boolean {
  const { options } = state;
  state.isAhead = true;
  try {
    const { ahead } = options.snapshots.current;
    if (ahead === undefined) return false;
    options.beginRun(state.aheadRun);
    const wants = ahead.take(options.settings.aheadBytesMax);
    if (wants.length > 0) options.fetchAhead(wants);
    const did = ahead.work() || wants.length > 0;
    if (did) state.aheadRun = {};
    return did;
  } catch {
    return false;
  } finally {
    state.isAhead = false;
  }
}

function runOperation(call: Call, frame: Frame): KernelAnswer {
  call.service.isDue = false;
  const operation = operationByNumber[inHeader.opcode(frame)];
  if (operation === undefined) return errnoOnly(errno.ENOSYS);
  call.frame = frame;
  if (!operation.nodeless) {
    const low = inHeader.nodeLow(frame);
    const high = inHeader.nodeHigh(frame);
    const snapshot = snapshotOf(call.service.snapshots, low, high);
    if (snapshot === undefined) return errnoOnly(errno.ESTALE);
    call.snapshot = snapshot;
    call.node = treeNode(snapshot, low, high);
    call.isRoot = high === 0;
  }
  return operation.run(call);
}

function errnoOnly(number: number): KernelAnswer & object {
  return { kind: 'failure', errno: number };
}

// The kernel refuses an answer with an errno outside this range, and then the client hangs for ever.
const lastErrno = 511;

/** Writes the reply, and counts. */
function finish(state: State, frame: Frame, answer: KernelAnswer, arrived: number): void {
  const { options } = state;
  let result = 0;
  if (typeof answer === 'number') {
    result = answer;
    send(state, frame, answer, 0);
  } else if (typeof answer === 'object' && answer.kind === 'failure') {
    const sound = Number.isInteger(answer.errno) && answer.errno > 0 && answer.errno <= lastErrno;
    const number = sound ? answer.errno : errno.EIO;
    result = -number;
    send(state, frame, 0, number);
    if (isIoError(number)) noteIoError(state.service);
    if (answer.error !== undefined) report(state, answer.error);
  }
  const opcode = inHeader.opcode(frame);
  const slot = operationByNumber[opcode] === undefined ? unknownOpcode.number : opcode;
  const microseconds = (options.clock() - arrived) * 1000;
  countRequest(options.counters, slot, microseconds);
  if (options.trace !== undefined) options.trace(frame, result, microseconds);
}

function noteIoError(service: Service): void {
  service.ioErrors = { errors: service.ioErrors.errors + 1, lastError: Date.now() / 1000 };
}

function send(state: State, frame: Frame, bodyLength: number, number: number): void {
  const { output } = state.service;
  const length = headerSize.reply + bodyLength;
  encodeReplyHeader(
    output,
    length,
    -number,
    frame.view.getUint32(8, true),
    frame.view.getUint32(12, true),
  );
  const { clock } = state.options;
  const begun = clock();
  state.options.write(output.bytes, length);
  state.service.spent.reply += clock() - begun;
}

function answerHeld(state: State, request: HeldRequest, number: number): void {
  finish(state, request.frame, errnoOnly(number), request.arrived);
}

function report(state: State, error: PinfsError): void {
  countError(state.options.counters, error.code);
  state.options.report(error);
}

function interrupt(state: State, unique: number): void {
  const found = releaseOne(state.held, unique);
  if (found === undefined) return;
  answerHeld(state, found.request, errno.EINTR);
  if (found.last && !found.request.keepsFetch) state.options.drop(found.request.key);
  state.deadline = nextDeadline(state.held);
}

/** Ends requests that waited too long. The fetch goes on: whoever asks later finds the object. */
function expire(state: State, now: number): void {
  if (now < state.deadline) return;
  const { held } = state;
  const { deadline } = state.options.settings;
  for (const request of overdue(held, now)) {
    const { key } = request;
    const late = `no answer in time: nothing, or next to nothing, came for ${deadline / 1000} s`;
    const trouble = held.troubles.get(key) ?? {
      errno: errno.ETIMEDOUT,
      error: { code: 'SOURCE_TIMEOUT', message: late },
    };
    releaseOne(held, request.unique);
    // The kernel repeats a failed READ in pieces: each would wait as long again.
    rememberFailure(held, key, { errno: trouble.errno, passing: true }, now);
    report(state, new PinfsError(trouble.error.code, trouble.error.message));
    answerHeld(state, request, trouble.errno);
  }
  state.deadline = nextDeadline(held);
}
