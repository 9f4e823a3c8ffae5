import { openBounded, boundedBytesMax } from '../../../files/bounded.js';
import { printable } from '../../../format/bytes.js';
import { PinfsError } from '../../../format/errors.js';
import { operationByNumber } from './opcodes.js';
import {
  decodeGetxattr,
  decodeName,
  decodeRead,
  inHeader,
  type Frame,
} from '../protocol/protocol.js';

/**
 * The trace of a mount, one line a request:
 *
 *   line    = opcode " unique=" number " node=" hex " pid=" number [detail] " = " result " " time "us"
 *   detail  = ' name="' name '"' | " offset=" number " size=" number
 *   result  = number          bytes of the reply's body, or the negative errno; 0 also for no reply
 *   time    = number          whole microseconds from arrival to answer
 *
 * Names are escaped as everywhere in pinfs, with `"` as `\x22`.
 */
export interface RequestTrace {
  readonly line: (frame: Frame, result: number, microseconds: number) => void;
  readonly flush: () => void;
  /** Goes over to the file that lies at the path now. */
  readonly reopen: () => void;
  readonly close: () => void;
}

const flushBytes = 64 * 1024;

function quoted(name: string | undefined): string {
  return name === undefined ? '' : ` name="${printable(name).replaceAll('"', '\\x22')}"`;
}

function detail(name: string, frame: Frame): string {
  switch (name) {
    case 'LOOKUP':
      return quoted(decodeName(frame));
    case 'GETXATTR':
      return quoted(decodeGetxattr(frame)?.name);
    case 'READ':
    case 'READDIR':
    case 'READDIRPLUS': {
      const request = decodeRead(frame);
      return request === undefined ? '' : ` offset=${request.offset} size=${request.size}`;
    }
    default:
      return '';
  }
}

/** The line of one request, without its end. */
export function traceLine(frame: Frame, result: number, microseconds: number): string {
  const opcode = inHeader.opcode(frame);
  const name = operationByNumber[opcode]?.name ?? `UNKNOWN(${opcode})`;
  const node =
    inHeader.nodeHigh(frame).toString(16) + inHeader.nodeLow(frame).toString(16).padStart(8, '0');
  const about = `unique=${inHeader.unique(frame)} node=${node} pid=${inHeader.pid(frame)}`;
  return `${name} ${about}${detail(name, frame)} = ${result} ${Math.round(microseconds)}us`;
}

/**
 * Appends to a file, in large pieces, within the bound of logs; what is written so far is complete whenever the mount is idle. When it
 * can't be written any more, as on a full disk, it ends there and says so once: the mount goes on.
 */
export function openTrace(
  path: string,
  report: (error: PinfsError) => void,
  bytesMax = boundedBytesMax,
): RequestTrace {
  const file = openBounded(path, bytesMax);
  let pending = '';
  let failed = false;
  const flush = () => {
    if (pending === '') return;
    const text = pending;
    pending = '';
    try {
      file.write(text);
    } catch (cause) {
      failed = true;
      const reason = cause instanceof Error ? cause.message : String(cause);
      report(new PinfsError('OUTPUT_FAILED', `the trace ${path} ends here: ${reason}`, { cause }));
    }
  };
  return {
    line(frame, result, microseconds) {
      if (failed) return;
      pending += `${traceLine(frame, result, microseconds)}\n`;
      if (pending.length > flushBytes) flush();
    },
    flush,
    reopen() {
      flush();
      file.reopen();
    },
    close() {
      flush();
      file.close();
    },
  };
}
