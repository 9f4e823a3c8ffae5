import type { Dispatcher } from 'undici';
import { PinfsError } from '../../format/errors.js';
import { judgeResponseHead, type Body, type Headers } from './response.js';
import { describeConnection, isClosedConnection } from './connection-error.js';
import type { Fault } from '../failover/failover.js';
import type { SourceAnswer, Question, Retry } from './request.js';
import type { Traffic } from '../source.js';

export interface Exchange {
  /** Ends it with this error, unless it has ended. */
  cancel(error: PinfsError): void;
  /** The same as if its own time were over. */
  giveUp(error: PinfsError): void;
  /** Whether to leave what comes on the line, for others to go before; no time limit counts meanwhile. */
  hold(held: boolean): void;
}

// Of the text that comes with an error status this much is read, so that the connection can be used
// again (bytes, milliseconds).
const drainBytesMax = 64 * 1024;
const drainMsMax = 2_000;

/** What is told of an exchange while it goes on. */
export interface ExchangeListener {
  /** How many bytes of the body are here. */
  readonly came: (received: number) => void;
  /** How long after it was sent the headers are here (ms). */
  readonly answered: (milliseconds: number) => void;
  /** Once, at its end; perhaps before `exchange` returns. */
  readonly ended: (answer: SourceAnswer) => void;
}

/** Sends one GET and collects the answer in a bounded buffer. */
export function exchange(
  dispatcher: Dispatcher,
  question: Question,
  traffic: Traffic,
  listener: ExchangeListener,
): Exchange {
  const call: Call = {
    question,
    traffic,
    listener,
    sentAt: 0,
    controller: undefined,
    timer: undefined,
    watch: () => undefined,
    held: false,
    ended: false,
    drainable: 0,
    body: undefined,
  };
  // Our own timers are exact; undici's run on a clock of half a second.
  const options = { headersTimeout: 0, bodyTimeout: 0 };
  const { origin, path, headers } = question;
  try {
    dispatcher.dispatch(
      { origin, path, method: 'GET', headers, ...options },
      {
        onRequestStart: (controller) => start(call, controller),
        onResponseStart: (_, status, fields) => head(call, status, fields),
        onResponseData: (_, chunk) => data(call, chunk),
        onResponseEnd: () => finish(call),
        onResponseError: (_, error) => broken(call, error),
      },
    );
  } catch (thrown) {
    broken(call, thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
  if (call.controller === undefined && !call.ended) watchConnection(call);
  return {
    cancel: (error) => fail(call, error, 'never', undefined),
    giveUp: (error) => fail(call, error, 'later', 'either'),
    hold: (held) => hold(call, held),
  };
}

type Controller = Pick<Dispatcher.DispatchController, 'abort' | 'pause' | 'resume'>;

/** The state of one exchange. */
interface Call {
  readonly question: Question;
  readonly traffic: Traffic;
  readonly listener: ExchangeListener;
  sentAt: number;
  controller: Controller | undefined;
  timer: NodeJS.Timeout | undefined;
  /** Begins the time limit that counts now. */
  watch: () => void;
  held: boolean;
  /** The answer was given; what comes now is drained or dropped. */
  ended: boolean;
  drainable: number;
  body: Body | undefined;
}

function start(call: Call, controller: Controller): void {
  call.controller = controller;
  if (call.ended) {
    hangUp(call);
    return;
  }
  if (call.held) controller.pause();
  call.traffic.requests++;
  call.sentAt = performance.now();
  watchBy(call, () => watchHead(call));
}

function hold(call: Call, held: boolean): void {
  if (call.held === held || call.ended) return;
  call.held = held;
  clearTimeout(call.timer);
  if (held) call.controller?.pause();
  else {
    call.watch();
    call.controller?.resume();
  }
}

function watchBy(call: Call, watch: () => void): void {
  call.watch = watch;
  clearTimeout(call.timer);
  if (!call.held) watch();
}

/** Of what is held back as well: no connection is no line that others wait for. */
function watchConnection(call: Call): void {
  const { sentWithin, shown } = call.question;
  if (sentWithin === undefined) return;
  call.timer = setTimeout(() => {
    const error = new PinfsError('SOURCE_TIMEOUT', `${shown()}: no tunnel in time`, {
      passing: true,
    });
    fail(call, error, 'later', 'either');
  }, sentWithin);
}

function watchHead(call: Call): void {
  const { headersTimeout } = call.question.timing;
  call.timer = setTimeout(() => {
    expire(call, `no answer within ${Math.round(headersTimeout)} ms`);
  }, headersTimeout);
}

function head(call: Call, status: number, headers: Headers): void {
  if (call.ended || status < 200) return;
  call.listener.answered(performance.now() - call.sentAt);
  const judged = judgeResponseHead(call.question, status, headers);
  if ('kind' in judged) {
    end(call, judged);
    call.drainable = drainBytesMax;
    call.timer = setTimeout(() => hangUp(call), drainMsMax).unref();
    return;
  }
  call.body = judged;
  if (judged.cut) enough(call, judged);
  else watchBy(call, () => watchSpeed(call));
}

function watchSpeed(call: Call): void {
  const { lowSpeedTime, lowSpeedBytes } = call.question.timing;
  const before = call.body?.received ?? 0;
  call.timer = setTimeout(() => {
    const now = call.body?.received ?? 0;
    if (now - before >= lowSpeedBytes) watchSpeed(call);
    else expire(call, `only ${now - before} bytes in ${Math.round(lowSpeedTime)} ms`);
  }, lowSpeedTime);
}

function data(call: Call, chunk: Buffer): void {
  const { body } = call;
  call.traffic.bytes += chunk.length;
  if (call.ended || body === undefined) {
    call.drainable -= chunk.length;
    if (call.drainable < 0) hangUp(call);
    return;
  }
  const problem = body.add(chunk);
  call.listener.came(body.received);
  if (problem !== undefined) fail(call, problem, 'never', undefined);
  else if (body.cut) enough(call, body);
}

function finish(call: Call): void {
  clearTimeout(call.timer);
  const { body } = call;
  if (call.ended || body === undefined) return;
  const short = body.missing();
  if (short === undefined) end(call, { kind: 'body', bytes: body.take() });
  else fail(call, short, 'never', undefined);
}

function broken(call: Call, error: Error): void {
  clearTimeout(call.timer);
  const begun = call.body !== undefined;
  const stale = !begun && isClosedConnection(error);
  const { error: described, retry, fault } = describeConnection(call.question.shown, error, begun);
  fail(call, described, stale ? 'stale' : retry, fault);
}

function end(call: Call, answer: SourceAnswer): void {
  if (call.ended) return;
  call.ended = true;
  clearTimeout(call.timer);
  call.listener.ended(answer);
}

function fail(call: Call, error: PinfsError, retry: Retry, fault: Fault | undefined): void {
  if (call.ended) return;
  end(call, { kind: 'failed', error, retry, fault });
  // undici may know the call for a while: what came is of no use, and may be large.
  call.body = undefined;
  hangUp(call);
}

/** All that is wanted is here, before the answer's end. */
function enough(call: Call, body: Body): void {
  end(call, { kind: 'body', bytes: body.take() });
  hangUp(call);
}

function expire(call: Call, what: string): void {
  const text = `${call.question.shown()}: ${what}`;
  fail(call, new PinfsError('SOURCE_TIMEOUT', text, { passing: true }), 'later', 'either');
}

/** Closes the connection, if the answer has not come to its end. */
function hangUp(call: Call): void {
  call.controller?.abort(new Error('not wanted'));
}
