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
  const call = new Call(question, traffic, listener);
  // Our own timers are exact; undici's run on a clock of half a second.
  const options = { headersTimeout: 0, bodyTimeout: 0 };
  const { origin, path, headers } = question;
  try {
    dispatcher.dispatch({ origin, path, method: 'GET', headers, ...options }, call);
  } catch (thrown) {
    call.onResponseError(undefined, thrown instanceof Error ? thrown : new Error(String(thrown)));
  }
  call.watchConnection();
  return call;
}

type Controller = Pick<Dispatcher.DispatchController, 'abort' | 'pause' | 'resume'>;

/** What is waited for: a connection, the head of the answer, its body, or the end of one that is of no use. */
type Stage = 'connection' | 'head' | 'body' | 'rest';

/** One exchange. There are many, of small objects: it is handed to undici as it is, and has one timer for all its limits. */
class Call implements Exchange, Dispatcher.DispatchHandler {
  readonly #question: Question;
  readonly #traffic: Traffic;
  readonly #listener: ExchangeListener;
  #stage: Stage = 'connection';
  #sentAt = 0;
  #controller: Controller | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** When the limit that counts now is over, and when that is looked at (ms). */
  #limitAt = Infinity;
  #lookAt = Infinity;
  /** How much of the body had come when the limit began to count (bytes). */
  #before = 0;
  #held = false;
  /** The answer was given; what comes now is drained or dropped. */
  #ended = false;
  #drainable = 0;
  #body: Body | undefined;

  constructor(question: Question, traffic: Traffic, listener: ExchangeListener) {
    this.#question = question;
    this.#traffic = traffic;
    this.#listener = listener;
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#ended) {
      this.#hangUp();
      return;
    }
    if (this.#held) controller.pause();
    this.#traffic.requests++;
    this.#sentAt = performance.now();
    this.#enter('head');
  }

  onResponseStart(_: unknown, status: number, headers: Headers): void {
    if (this.#ended || status < 200) return;
    this.#listener.answered(performance.now() - this.#sentAt);
    const judged = judgeResponseHead(this.#question, status, headers);
    if ('kind' in judged) {
      this.#end(judged);
      this.#drainable = drainBytesMax;
      this.#enter('rest');
      return;
    }
    this.#body = judged;
    if (judged.cut) this.#enough(judged);
    else this.#enter('body');
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    const body = this.#body;
    this.#traffic.bytes += chunk.length;
    if (this.#ended || body === undefined) {
      this.#drainable -= chunk.length;
      if (this.#drainable < 0) this.#hangUp();
      return;
    }
    const problem = body.add(chunk);
    this.#listener.came(body.received);
    if (problem !== undefined) this.#fail(problem, 'never', undefined);
    else if (body.cut) this.#enough(body);
  }

  onResponseEnd(): void {
    this.#unwatch();
    const body = this.#body;
    if (this.#ended || body === undefined) return;
    const short = body.missing();
    if (short === undefined) this.#end({ kind: 'body', bytes: body.take() });
    else this.#fail(short, 'never', undefined);
  }

  onResponseError(_: unknown, error: Error): void {
    this.#unwatch();
    const begun = this.#body !== undefined;
    const stale = !begun && isClosedConnection(error);
    const told = describeConnection(this.#question.shown, error, begun);
    this.#fail(told.error, stale ? 'stale' : told.retry, told.fault);
  }

  cancel(error: PinfsError): void {
    this.#fail(error, 'never', undefined);
  }

  giveUp(error: PinfsError): void {
    this.#fail(error, 'later', 'either');
  }

  hold(held: boolean): void {
    if (this.#held === held || this.#ended) return;
    this.#held = held;
    if (held) {
      this.#controller?.pause();
      // No connection is no line that others wait for.
      if (this.#stage !== 'connection') this.#unwatch();
    } else {
      if (this.#stage !== 'connection') this.#enter(this.#stage);
      this.#controller?.resume();
    }
  }

  /** Where undici has no bound for it. */
  watchConnection(): void {
    const { sentWithin } = this.#question;
    if (this.#stage === 'connection' && !this.#ended && sentWithin !== undefined)
      this.#watch(sentWithin);
  }

  /** Begins what is waited for next, with its limit. */
  #enter(stage: Stage): void {
    this.#stage = stage;
    this.#before = this.#body?.received ?? 0;
    const { headersTimeout, lowSpeedTime } = this.#question.timing;
    if (stage === 'rest') this.#watch(drainMsMax);
    else if (this.#held) this.#unwatch();
    else this.#watch(stage === 'head' ? headersTimeout : lowSpeedTime);
  }

  /** The timer goes on where it ends in time for the new limit as well, and then looks for how long it still is. */
  #watch(milliseconds: number): void {
    const now = performance.now();
    this.#limitAt = now + milliseconds;
    if (this.#timer !== undefined && this.#lookAt <= this.#limitAt) return;
    clearTimeout(this.#timer);
    this.#lookAt = this.#limitAt;
    this.#timer = setTimeout(lookAt, milliseconds, this);
    if (this.#stage === 'rest') this.#timer.unref();
  }

  #unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  look(): void {
    this.#timer = undefined;
    const left = this.#limitAt - performance.now();
    // A timer may come a little early.
    if (left > 1) this.#watch(left);
    else this.#isOver();
  }

  /** The time for what is waited for is over. */
  #isOver(): void {
    const { timing, shown } = this.#question;
    const { headersTimeout, lowSpeedTime, lowSpeedBytes } = timing;
    const came = (this.#body?.received ?? 0) - this.#before;
    switch (this.#stage) {
      case 'connection':
        this.giveUp(
          new PinfsError('SOURCE_TIMEOUT', `${shown()}: no tunnel in time`, { passing: true }),
        );
        return;
      case 'head':
        this.#expire(`no answer within ${Math.round(headersTimeout)} ms`);
        return;
      case 'body':
        if (came >= lowSpeedBytes) this.#enter('body');
        else this.#expire(`only ${came} bytes in ${Math.round(lowSpeedTime)} ms`);
        return;
      case 'rest':
        this.#hangUp();
    }
  }

  #end(answer: SourceAnswer): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#unwatch();
    this.#listener.ended(answer);
  }

  #fail(error: PinfsError, retry: Retry, fault: Fault | undefined): void {
    if (this.#ended) return;
    this.#end({ kind: 'failed', error, retry, fault });
    // undici may know the call for a while: what came is of no use, and may be large.
    this.#body = undefined;
    this.#hangUp();
  }

  /** All that is wanted is here, before the answer's end. */
  #enough(body: Body): void {
    this.#end({ kind: 'body', bytes: body.take() });
    this.#hangUp();
  }

  #expire(what: string): void {
    const text = `${this.#question.shown()}: ${what}`;
    this.giveUp(new PinfsError('SOURCE_TIMEOUT', text, { passing: true }));
  }

  /** Closes the connection, if the answer has not come to its end. */
  #hangUp(): void {
    this.#controller?.abort(new Error('not wanted'));
  }
}

function lookAt(call: Call): void {
  call.look();
}
