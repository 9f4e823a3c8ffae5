import type { Duplex, Readable } from 'node:stream';
import { asPinfsError, errorCodes, PinfsError, type ErrorCode } from '../../format/errors.js';
import { decoder, parseJson } from '../../format/schema.js';

/**
 * One JSON line each way: how the control socket and the daemon's readiness pipe talk. Both ends
 * bound what they read in size and time, since the other one may be hung, dying or another version.
 */

export interface LineLimits {
  readonly bytes: number;
  readonly milliseconds: number;
}

/** What ended a wait for a line. `closed`: the other side went away before the end of the line. */
export type Line =
  | { readonly kind: 'line'; readonly text: string }
  | { readonly kind: 'closed' }
  | { readonly kind: 'too-long' }
  | { readonly kind: 'timeout' };

/** Reads up to the first newline; anything behind it is dropped. Milliseconds 0: no time limit. */
export function readLine(stream: Readable, limits: LineLimits): Promise<Line> {
  return new Promise((resolve) => {
    const pieces: Buffer[] = [];
    let length = 0;
    const timer =
      limits.milliseconds > 0
        ? setTimeout(() => {
            finish({ kind: 'timeout' });
          }, limits.milliseconds)
        : undefined;
    const onData = (piece: Buffer) => {
      const end = piece.indexOf(0x0a);
      pieces.push(end < 0 ? piece : piece.subarray(0, end));
      length += end < 0 ? piece.length : end;
      if (length > limits.bytes) finish({ kind: 'too-long' });
      else if (end >= 0) finish({ kind: 'line', text: Buffer.concat(pieces).toString('utf8') });
    };
    const onEnd = () => {
      finish({ kind: 'closed' });
    };
    function finish(line: Line) {
      clearTimeout(timer);
      stream.off('data', onData).off('end', onEnd).off('close', onEnd).off('error', onEnd);
      // A late error on a stream that nobody listens to would end the process.
      stream.on('error', () => undefined);
      resolve(line);
    }
    stream.on('data', onData).on('end', onEnd).on('close', onEnd).on('error', onEnd);
  });
}

/** Writes one value as a line; resolves when it is on its way, or the other side is gone. */
export function writeLine(stream: Duplex, value: unknown): Promise<void> {
  return new Promise((resolve) => {
    stream.write(`${JSON.stringify(value)}\n`, () => {
      resolve();
    });
  });
}

/** An answer that says what went well, or the error of the other process. */
export type ControlReply =
  | { readonly ok: true; readonly value: unknown }
  | {
      readonly ok: false;
      readonly code: ErrorCode;
      readonly message: string;
      readonly advice?: string;
    };

export function failedAnswer(thrown: unknown): ControlReply {
  const error = asPinfsError(thrown);
  const advice = error.advice === undefined ? {} : { advice: error.advice };
  return { ok: false, code: error.code, message: error.message, ...advice };
}

// Of another version, maybe: what it says more is left out, and a code that only that one has is INTERNAL here.
const readReply = decoder((v) =>
  v.variant('ok', [
    v.object({ ok: v.literal(true), value: v.optional(v.unknown()) }),
    v.object({
      ok: v.literal(false),
      code: v.fallback(v.picklist(errorCodes), 'INTERNAL'),
      message: v.fallback(v.string(), 'the mount failed without saying why'),
      advice: v.fallback(v.optional(v.string()), undefined),
    }),
  ]),
);

/** The value of an answer, or its error thrown here. @throws PinfsError */
export function answerValue(text: string): unknown {
  const reply = readReply(parseJson(text));
  if (reply === undefined) {
    throw new PinfsError('INTERNAL', 'the process of the mount gave an answer that is none');
  }
  if (reply.ok) return reply.value;
  const { code, message, advice } = reply;
  throw new PinfsError(code, message, advice === undefined ? {} : { advice });
}
