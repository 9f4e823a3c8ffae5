import { setTimeout as wait } from 'node:timers/promises';
import { systemCalls } from '../../machine/system-calls.js';

/**
 * Plays the kernel's side of the FUSE protocol in tests: makes requests by the offsets of the kernel's
 * header (not with the driver's own encoders), and reads replies. Over a socket pair it drives a
 * whole worker; its requests can also be handed to a session directly.
 */
export interface FakeRequest {
  readonly opcode: number;
  readonly unique: number;
  /** The node id: a number, or the eight bytes of an id that a reply gave. */
  readonly node?: number | Buffer;
  readonly body?: Buffer;
  /** The length that the header claims, where that is a lie. */
  readonly claimed?: number;
}

export function requestBytes(request: FakeRequest): Buffer {
  const body = request.body ?? Buffer.alloc(0);
  const header = Buffer.alloc(40);
  header.writeUInt32LE(request.claimed ?? 40 + body.length, 0);
  header.writeUInt32LE(request.opcode, 4);
  header.writeBigUInt64LE(BigInt(request.unique), 8);
  const node = request.node ?? 1;
  if (typeof node === 'number') header.writeBigUInt64LE(BigInt(node), 16);
  else node.copy(header, 16, 0, 8);
  header.writeUInt32LE(4321, 32);
  return Buffer.concat([header, body]);
}

export interface FakeReply {
  readonly length: number;
  /** 0, or the negative errno. */
  readonly error: number;
  readonly unique: number;
  readonly body: Buffer;
}

export function readReply(bytes: Buffer): FakeReply {
  return {
    length: bytes.readUInt32LE(0),
    error: bytes.readInt32LE(4),
    unique: Number(bytes.readBigUInt64LE(8)),
    body: Buffer.from(bytes.subarray(16)),
  };
}

export const opcodes = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  READLINK: 5,
  OPEN: 14,
  READ: 15,
  STATFS: 17,
  RELEASE: 18,
  GETXATTR: 22,
  LISTXATTR: 23,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  ACCESS: 34,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
  STATX: 52,
} as const;

/** What a kernel of today offers at INIT. */
const offeredFlags = { flags: 0x73fffffb, flags2: 0x5fd };

/** Bodies of requests. */
export const bodyOf = {
  init(minor: number, offered = offeredFlags, major = 7): Buffer {
    const extended = minor >= 36;
    const body = Buffer.alloc(extended ? 64 : 16);
    body.writeUInt32LE(major, 0);
    body.writeUInt32LE(minor, 4);
    body.writeUInt32LE(131072, 8);
    body.writeUInt32LE(extended ? offered.flags : offered.flags & ~(1 << 30), 12);
    if (extended) body.writeUInt32LE(offered.flags2, 16);
    return body;
  },
  name: (name: string) => Buffer.from(`${name}\0`, 'latin1'),
  open(flags = 0): Buffer {
    const body = Buffer.alloc(8);
    body.writeUInt32LE(flags, 0);
    return body;
  },
  read(offset: number, size: number, handle = 0): Buffer {
    const body = Buffer.alloc(40);
    body.writeBigUInt64LE(BigInt(handle), 0);
    body.writeBigUInt64LE(BigInt(offset), 8);
    body.writeUInt32LE(size, 16);
    return body;
  },
  release(handle: number): Buffer {
    const body = Buffer.alloc(24);
    body.writeBigUInt64LE(BigInt(handle), 0);
    return body;
  },
  getxattr(size: number, name: string): Buffer {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(size, 0);
    return Buffer.concat([head, bodyOf.name(name)]);
  },
  getattr: () => Buffer.alloc(16),
  number(value: number): Buffer {
    const body = Buffer.alloc(8);
    body.writeBigUInt64LE(BigInt(value), 0);
    return body;
  },
  forgets(nodes: readonly { readonly node: Buffer; readonly count: number }[]): Buffer {
    const head = Buffer.alloc(8);
    head.writeUInt32LE(nodes.length, 0);
    const parts = nodes.map(({ node, count }) => Buffer.concat([node, bodyOf.number(count)]));
    return Buffer.concat([head, ...parts]);
  },
} as const;

/** One record of a READDIR or READDIRPLUS reply. */
export interface FakeDirent {
  readonly name: string;
  readonly type: number;
  readonly cookie: number;
  /** The node id of READDIRPLUS. */
  readonly node: Buffer | undefined;
}

export function readDirents(body: Buffer, plus: boolean): FakeDirent[] {
  const entries: FakeDirent[] = [];
  const skip = plus ? 128 : 0;
  for (let at = 0; at < body.length;) {
    const length = body.readUInt32LE(at + skip + 16);
    entries.push({
      name: body.toString('latin1', at + skip + 24, at + skip + 24 + length),
      type: body.readUInt32LE(at + skip + 20),
      cookie: Number(body.readBigUInt64LE(at + skip + 8)),
      node: plus ? body.subarray(at, at + 8) : undefined,
    });
    at += skip + ((24 + length + 7) & ~7);
  }
  return entries;
}

/** A device that is one end of a socket pair; the other end is the kernel's. */
export interface FakeKernel {
  /** The descriptor for the driver; closed by whoever serves it. */
  readonly device: number;
  readonly send: (request: FakeRequest) => void;
  readonly sendBytes: (bytes: Buffer) => void;
  /** The next reply. @throws after ten seconds without one. */
  readonly receive: () => Promise<FakeReply>;
  /** What has come by now, without waiting. */
  readonly poll: () => FakeReply | undefined;
  /** As an unmount does: the driver's end reads end of file. */
  readonly close: () => void;
}

const timeoutMs = 10_000;

export function openFakeKernel(): FakeKernel {
  const calls = systemCalls();
  const pair = calls.socketPair(true);
  if (typeof pair === 'number') throw new Error(`socketpair: errno ${-pair}`);
  const [ours, device] = pair;
  const buffer = Buffer.alloc(256 * 1024);
  let open = true;
  const poll = () => {
    const length = calls.read(ours, buffer, buffer.length);
    return length > 0 ? readReply(Buffer.from(buffer.subarray(0, length))) : undefined;
  };
  const sendBytes = (bytes: Buffer) => {
    const result = calls.write(ours, bytes, bytes.length);
    if (result < 0) throw new Error(`the fake kernel can't write: errno ${-result}`);
  };
  return {
    device,
    sendBytes,
    send: (request) => {
      sendBytes(requestBytes(request));
    },
    poll,
    async receive() {
      const end = performance.now() + timeoutMs;
      while (performance.now() < end) {
        const reply = poll();
        if (reply !== undefined) return reply;
        await wait(1);
      }
      throw new Error('the driver did not answer');
    },
    close() {
      if (open) calls.close(ours);
      open = false;
    },
  };
}
