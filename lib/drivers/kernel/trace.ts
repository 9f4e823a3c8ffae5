import { closeSync, openSync, writeSync } from 'node:fs';
import { printable } from '../../format/bytes.js';
import { operationByNumber } from './opcodes.js';
import { decodeGetxattr, decodeName, decodeRead, inHeader, type Frame } from './protocol.js';

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
export interface Trace {
  readonly line: (frame: Frame, result: number, microseconds: number) => void;
  readonly flush: () => void;
  readonly close: () => void;
}

const flushAt = 64 * 1024;

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

/** Appends to a file, in large pieces; what is written so far is complete whenever the mount is idle. */
export function openTrace(path: string): Trace {
  const fd = openSync(path, 'a', 0o600);
  let pending = '';
  const flush = () => {
    if (pending === '') return;
    const text = pending;
    pending = '';
    writeSync(fd, text);
  };
  return {
    line(frame, result, microseconds) {
      pending += `${traceLine(frame, result, microseconds)}\n`;
      if (pending.length > flushAt) flush();
    },
    flush,
    close() {
      flush();
      closeSync(fd);
    },
  };
}
