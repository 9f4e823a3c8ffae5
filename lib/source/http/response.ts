import { fromText, printable } from '../../format/bytes.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { unauthorized } from './connection-error.js';
import type { Fault } from '../failover/failover.js';
import type { SourceAnswer, Question } from './request.js';
import type { Sink } from '../sink.js';

export type Headers = Readonly<Record<string, string | string[] | undefined>>;

function header(headers: Headers, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'object' ? value.join(', ') : value;
}

/** Judges status and headers: an answer that needs no body, or the buffer that the body goes into. */
export function judgeResponseHead(
  question: Question,
  status: number,
  headers: Headers,
): SourceAnswer | Body {
  const { shown, range, limit, sink } = question;
  const failed = (error: PinfsError, fault?: Fault): SourceAnswer => ({
    kind: 'failed',
    error,
    retry: 'never',
    fault,
  });
  if (status === 404 || status === 410) {
    return failed(new PinfsError('OBJECT_MISSING', `${shown()} is not there (HTTP ${status})`));
  }
  if ([301, 302, 303, 307, 308].includes(status)) {
    return { kind: 'redirect', status, location: header(headers, 'location') ?? '' };
  }
  if (status === 416 && range !== undefined) return failed(shorter(question));
  if (status !== 200 && !(status === 206 && range !== undefined)) {
    // A proxy that can't, or may not, answers as a server would, and not each one says that it was the proxy.
    const fault = 'either';
    if (status === 407) return failed(unauthorized(shown), 'hop');
    const text = `${shown()}: the server answered HTTP ${status}${proxyWords(headers)}`;
    if (!passingStatuses.has(status) && status < 500)
      return failed(new PinfsError('SOURCE_STATUS', text), fault);
    const error = new PinfsError('SOURCE_STATUS', text, { passing: true });
    const after = retryAfter(header(headers, 'retry-after'), Date.now());
    return { kind: 'failed', error, retry: 'later', fault, after };
  }
  const encoding = encodingOf(headers);
  if (encoding !== undefined) return failed(encoded(shown, encoding));
  const length = contentLength(header(headers, 'content-length'));
  if (range === undefined) {
    if (length !== undefined && length > limit) return failed(tooLarge(shown, limit));
    return sink === undefined ? plainBody(shown, limit, length) : sunkBody(question, sink);
  }
  if (status === 206) {
    const start = /^bytes (\d{1,16})-/.exec(header(headers, 'content-range') ?? '')?.[1];
    if (start === undefined || Number(start) !== range.offset) {
      const text = `${shown()}: the server answered with another range than was asked for`;
      return failed(new PinfsError('SOURCE_STATUS', text));
    }
    if (length !== undefined && length > range.length) return failed(tooLarge(shown, range.length));
  }
  const skip = status === 206 ? 0 : range.offset;
  if (sink !== undefined) return sunkBody(question, sink, { skip, length: range.length });
  return rangeBody(question, range.length, skip);
}

/** What a proxy says of itself: `X-Squid-Error: ERR_CONNECT_FAIL 111`, `Proxy-Status: …; error=…`. */
function proxyWords(headers: Headers): string {
  const squid = header(headers, 'x-squid-error');
  const standard = header(headers, 'proxy-status');
  const words = squid ?? (standard?.includes('error=') === true ? standard : undefined);
  return words === undefined ? '' : ` (a proxy says: ${printable(fromText(words.slice(0, 100)))})`;
}

/** A coding that the bytes are in, other than the one that was asked for: as they are stored. */
function encodingOf(headers: Headers): string | undefined {
  if (headers['content-encoding'] === undefined && headers['transfer-encoding'] === undefined)
    return undefined;
  const content = header(headers, 'content-encoding') ?? '';
  const transfer = header(headers, 'transfer-encoding') ?? '';
  return `${content},${transfer}`
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .find((coding) => !plainCodings.has(coding));
}

const plainCodings: ReadonlySet<string> = new Set(['', 'identity', 'chunked']);

function encoded(shown: () => string, coding: string): PinfsError {
  const name = printable(fromText(coding.slice(0, 40)));
  const text = `${shown()}: the answer is encoded (${name}), though it was asked for as it is`;
  return new PinfsError('SOURCE_ENCODING', text, {
    advice:
      'A server or proxy on the way compresses: that has to be switched off for this address.',
  });
}

/** Request Timeout, Too Early, Too Many Requests: the others below 500 say the same when asked again. */
const passingStatuses: ReadonlySet<number> = new Set([408, 425, 429]);

/** Milliseconds that a server asks to be left alone: seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(text: string | undefined, now: number): number {
  if (text === undefined) return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? 0 : Math.max(0, date - now);
}

/** A length of so many digits that no number holds it is larger than anything. */
function contentLength(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d+$/.test(text)) return undefined;
  return text.length > 15 ? Infinity : Number(text);
}

function tooLarge(shown: () => string, limit: number): PinfsError {
  return new PinfsError(
    'OBJECT_TOO_LARGE',
    `${shown()} is larger than the ${limit} bytes expected`,
  );
}

function shorter({ shown, range }: Question): PinfsError {
  const end = range === undefined ? 0 : range.offset + range.length;
  return new PinfsError('OBJECT_SIZE_MISMATCH', `${shown()} ends before byte ${end}`);
}

/** Where the bytes of an answer are collected. */
export interface Body {
  /** Bytes that came so far, those that were skipped included. */
  received: number;
  /** All that is wanted is here; what else may come is not read. */
  cut: boolean;
  add(chunk: Buffer): PinfsError | undefined;
  /** What is wrong when the answer ends here. */
  missing(): PinfsError | undefined;
  take(): Buffer;
}

function plainBody(shown: () => string, limit: number, length: number | undefined): Body {
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

/** A body that a sink takes; of a range what lies before it is dropped. */
function sunkBody(
  question: Question,
  sink: Sink,
  part?: { readonly skip: number; readonly length: number },
): Body {
  const { shown, limit } = question;
  const end = part === undefined ? Infinity : part.skip + part.length;
  return {
    received: 0,
    cut: end === 0,
    add(chunk) {
      const begin = this.received;
      this.received += chunk.length;
      if (part === undefined && this.received > limit) return tooLarge(shown, limit);
      this.cut = this.received >= end;
      const wanted = chunk.subarray(Math.max(0, (part?.skip ?? 0) - begin), end - begin);
      try {
        if (wanted.length > 0) sink.write(wanted);
        return undefined;
      } catch (thrown) {
        return asPinfsError(thrown);
      }
    },
    missing() {
      return part !== undefined && this.received < end ? shorter(question) : undefined;
    },
    take: () => Buffer.alloc(0),
  };
}
