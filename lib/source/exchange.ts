import type { Pool } from 'undici';
import { PinfsError } from '../format/errors.js';
import type { Traffic } from './source.js';

/** One request, and what of its answer is wanted. */
export interface Question {
  /** For messages: the URL without credentials. */
  readonly shown: string;
  /** Path and query as sent. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Most bytes of body that are read. */
  readonly limit: number;
  readonly range: { readonly offset: number; readonly length: number } | undefined;
  readonly timing: Timing;
}

/** Milliseconds and bytes that bound one request. */
export interface Timing {
  /** From the request's being sent to the answer's headers. */
  readonly headersTimeout: number;
  /** In each such span at least `lowSpeedBytes` of body have to arrive. */
  readonly lowSpeedTime: number;
  readonly lowSpeedBytes: number;
}

export type Answer =
  | { readonly kind: 'body'; readonly bytes: Buffer }
  | { readonly kind: 'redirect'; readonly status: number; readonly location: string }
  | { readonly kind: 'failed'; readonly error: PinfsError; readonly retry: Retry };

/** `stale`: a connection closed before any answer, as happens to a kept-alive one: repeat at once. */
export type Retry = 'never' | 'later' | 'stale';

export interface Exchange {
  readonly answer: Promise<Answer>;
  /** Ends it with this error, unless it has ended. */
  cancel(error: PinfsError): void;
}

const drainLimit = 64 * 1024;
const drainTime = 2_000;

/** Sends one GET and collects the answer in a bounded buffer. Never rejects. */
export function exchange(pool: Pool, question: Question, traffic: Traffic): Exchange {
  let settle: (answer: Answer) => void;
  const answer = new Promise<Answer>((resolve) => (settle = resolve));
  let controller: { abort(reason: Error): void } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  let drainable = 0;
  let body: Body | undefined;

  const hangUp = (): void => controller?.abort(new Error('not wanted'));
  const end = (result: Answer): void => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    settle(result);
  };
  // A short text with an error status is read to its end, so that the connection can be used again.
  const drain = (result: Answer): void => {
    end(result);
    drainable = drainLimit;
    timer = setTimeout(hangUp, drainTime).unref();
  };
  const fail = (error: PinfsError, retry: Retry): void => {
    if (ended) return;
    end({ kind: 'failed', error, retry });
    hangUp();
  };
  const enough = (collected: Body): void => {
    end({ kind: 'body', bytes: collected.take() });
    hangUp();
  };
  const expire = (what: string): void =>
    fail(new PinfsError('SOURCE_TIMEOUT', `${question.shown}: ${what}`), 'later');

  const watchSpeed = (before: number): void => {
    const { lowSpeedTime, lowSpeedBytes } = question.timing;
    timer = setTimeout(() => {
      const now = body?.received ?? 0;
      if (now - before < lowSpeedBytes) {
        expire(`only ${now - before} bytes in ${lowSpeedTime} ms`);
      } else watchSpeed(now);
    }, lowSpeedTime);
  };

  const handler = {
    onRequestStart(started: { abort(reason: Error): void }): void {
      controller = started;
      if (ended) {
        started.abort(new Error('not wanted'));
        return;
      }
      traffic.requests++;
      const { headersTimeout } = question.timing;
      clearTimeout(timer);
      timer = setTimeout(() => expire(`no answer within ${headersTimeout} ms`), headersTimeout);
    },
    onResponseStart(_: unknown, status: number, headers: Headers): void {
      if (ended || status < 200) return;
      clearTimeout(timer);
      const judged = judgeHead(question, status, headers);
      if ('kind' in judged) {
        drain(judged);
        return;
      }
      body = judged;
      if (body.cut) enough(body);
      else watchSpeed(0);
    },
    onResponseData(_: unknown, chunk: Buffer): void {
      traffic.bytes += chunk.length;
      if (ended || body === undefined) {
        drainable -= chunk.length;
        if (drainable < 0) hangUp();
        return;
      }
      const problem = body.add(chunk);
      if (problem !== undefined) fail(problem, 'never');
      else if (body.cut) enough(body);
    },
    onResponseEnd(): void {
      clearTimeout(timer);
      if (ended || body === undefined) return;
      const short = body.missing();
      if (short === undefined) end({ kind: 'body', bytes: body.take() });
      else fail(short, 'never');
    },
    onResponseError(_: unknown, error: Error): void {
      clearTimeout(timer);
      const stale = body === undefined && isClosedConnection(error);
      const { error: described, final } = describe(question.shown, error, body !== undefined);
      fail(described, stale ? 'stale' : final ? 'never' : 'later');
    },
  };

  try {
    pool.dispatch(
      {
        path: question.path,
        method: 'GET',
        headers: question.headers,
        // Our own timers are exact; undici's run on a clock of half a second.
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      handler,
    );
  } catch (thrown) {
    handler.onResponseError(undefined, thrown instanceof Error ? thrown : new Error('unknown'));
  }
  return { answer, cancel: (error) => fail(error, 'never') };
}

type Headers = Readonly<Record<string, string | string[] | undefined>>;

function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'object' ? value.join(', ') : value;
}

/** Judges status and headers: an answer that needs no body, or the buffer that the body goes into. */
function judgeHead(question: Question, status: number, headers: Headers): Answer | Body {
  const { shown, range, limit } = question;
  const failed = (error: PinfsError, retry: Retry = 'never'): Answer => ({
    kind: 'failed',
    error,
    retry,
  });
  if (status === 404 || status === 410) {
    return failed(new PinfsError('OBJECT_MISSING', `${shown} is not there (HTTP ${status})`));
  }
  if ([301, 302, 303, 307, 308].includes(status)) {
    return { kind: 'redirect', status, location: header(headers, 'location') ?? '' };
  }
  if (status === 416 && range !== undefined) return failed(shorter(question));
  if (status !== 200 && !(status === 206 && range !== undefined)) {
    const retry = status === 429 || status >= 500 ? 'later' : 'never';
    const error = new PinfsError('SOURCE_STATUS', `${shown}: the server answered HTTP ${status}`);
    return failed(error, retry);
  }
  const encoding = header(headers, 'content-encoding');
  if (encoding !== undefined && encoding !== 'identity') {
    const text = `${shown}: the server encodes its answer, though it was not asked to`;
    return failed(new PinfsError('SOURCE_STATUS', text));
  }
  const length = contentLength(header(headers, 'content-length'));
  if (range === undefined) {
    if (length !== undefined && length > limit) return failed(tooLarge(shown, limit));
    return plainBody(shown, limit, length);
  }
  if (status === 206) {
    const start = /^bytes (\d{1,16})-/.exec(header(headers, 'content-range') ?? '')?.[1];
    if (start === undefined || Number(start) !== range.offset) {
      const text = `${shown}: the server answered with another range than was asked for`;
      return failed(new PinfsError('SOURCE_STATUS', text));
    }
    if (length !== undefined && length > range.length) return failed(tooLarge(shown, range.length));
  }
  return rangeBody(question, range.length, status === 206 ? 0 : range.offset);
}

function contentLength(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function tooLarge(shown: string, limit: number): PinfsError {
  return new PinfsError('OBJECT_TOO_LARGE', `${shown} is larger than the ${limit} bytes expected`);
}

function shorter({ shown, range }: Question): PinfsError {
  const end = range === undefined ? 0 : range.offset + range.length;
  return new PinfsError('OBJECT_SIZE_MISMATCH', `${shown} ends before byte ${end}`);
}

/** Where the bytes of an answer are collected. */
interface Body {
  /** Bytes that came so far, those that were skipped included. */
  received: number;
  /** All that is wanted is here; what else may come is not read. */
  cut: boolean;
  add(chunk: Buffer): PinfsError | undefined;
  /** What is wrong when the answer ends here. */
  missing(): PinfsError | undefined;
  take(): Buffer;
}

function plainBody(shown: string, limit: number, length: number | undefined): Body {
  const whole = length === undefined ? undefined : Buffer.allocUnsafe(length);
  const chunks: Buffer[] = [];
  return {
    received: 0,
    cut: false,
    add(chunk) {
      const end = this.received + chunk.length;
      if (end > limit) return tooLarge(shown, limit);
      if (whole === undefined) chunks.push(Buffer.from(chunk));
      else chunk.copy(whole, this.received);
      this.received = end;
      return undefined;
    },
    // undici itself ends with an error where an answer is shorter than announced.
    missing: () => undefined,
    take() {
      return whole === undefined ? Buffer.concat(chunks) : whole.subarray(0, this.received);
    },
  };
}

/** For a range: `skip` bytes in front are dropped, since a server may send the whole file. */
function rangeBody(question: Question, length: number, skip: number): Body {
  const bytes = Buffer.allocUnsafe(length);
  return {
    received: 0,
    cut: length === 0,
    add(chunk) {
      const from = Math.max(0, skip - this.received);
      if (from < chunk.length) chunk.copy(bytes, Math.max(0, this.received - skip), from);
      this.received += chunk.length;
      this.cut = this.received >= skip + length;
      return undefined;
    },
    missing() {
      return this.received < skip + length ? shorter(question) : undefined;
    },
    take: () => bytes,
  };
}

function code(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function isClosedConnection(error: Error): boolean {
  return ['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'].includes(code(error));
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the host name can not be looked up at the moment',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ECONNRESET: 'the server closed the connection',
  EPIPE: 'the server closed the connection',
  UND_ERR_SOCKET: 'the server closed the connection',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'the answer was cut short',
  UND_ERR_HEADERS_OVERFLOW: 'the headers of the answer are too long',
};

/** A connection's error in our words; `final`: asking again can't help. */
function describe(
  shown: string,
  error: Error,
  begun: boolean,
): { error: PinfsError; final: boolean } {
  const name = code(error);
  if (name === 'UND_ERR_CONNECT_TIMEOUT' || name === 'ETIMEDOUT') {
    const late = new PinfsError('SOURCE_TIMEOUT', `${shown}: no connection in time`);
    return { error: late, final: false };
  }
  const reason =
    begun && isClosedConnection(error)
      ? 'the answer was cut short'
      : (reasons[name] ??
        (name.startsWith('HPE_') ? 'what answers does not speak HTTP' : name || error.message));
  const unreachable = new PinfsError('SOURCE_UNREACHABLE', `${shown}: ${reason}`, {
    advice: 'Check the address and the network; --offline uses what is in the cache.',
    cause: error,
  });
  const final = name === 'ENOTFOUND' || /CERT|SELF_SIGNED|ALTNAME|UNABLE_TO/.test(name);
  return { error: unreachable, final };
}
