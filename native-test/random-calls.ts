import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { fromBytes, type ByteString } from '../lib/format/bytes.js';
import type { Needs } from './machine.js';

/** System calls that Node lacks, through koffi: listings in pieces, mappings, extended attributes. */
export interface SystemCalls {
  /** From where the descriptor stands to the end, with a buffer of this size. */
  list(directory: number, size: number): Dirent[];
  seek(directory: number, offset: bigint): void;
  /** A copy of a shared mapping; `length` is at least 1 and within the file. */
  map(file: number, position: number, length: number): Buffer;
  /** `name=base64`, sorted; links are not followed. */
  xattrs(path: Buffer): string[];
}

export interface Dirent {
  readonly name: ByteString;
  /** The DT_* number. */
  readonly type: number;
  readonly ino: string;
  /** Where the next entry stands. */
  readonly offset: bigint;
}

type Koffi = typeof import('koffi');

function loadKoffi(): Koffi {
  return createRequire(import.meta.url)('koffi') as Koffi;
}

/** koffi is an optional package. */
export function needsKoffi(): Needs {
  try {
    loadKoffi();
    return {};
  } catch {
    return { skip: 'the package koffi does not load here' };
  }
}

const errorNames = new Map(Object.entries(constants.errno).map(([name, code]) => [code, name]));
const getdents64: Readonly<Record<string, number>> = { x64: 217, arm64: 61 };
const page = 4096;

export function bindCalls(): SystemCalls {
  const koffi = loadKoffi();
  const libc = koffi.load(null);
  const bind = (prototype: string) => libc.func(prototype) as (...values: unknown[]) => number;
  const syscall = bind('long syscall(long, long, void*, long)');
  const lseek = bind('int64_t lseek(int, int64_t, int)');
  const llistxattr = bind('intptr_t llistxattr(const void*, void*, size_t)');
  const lgetxattr = bind('intptr_t lgetxattr(const void*, const void*, void*, size_t)');
  const mmap = libc.func('void* mmap(void*, size_t, int, int, int, int64_t)');
  const munmap = bind('int munmap(void*, size_t)');
  const number = getdents64[process.arch] ?? 0;
  const failed = (): Error => {
    const code = errorNames.get(koffi.errno()) ?? `errno ${koffi.errno()}`;
    return Object.assign(new Error(code), { code });
  };
  const checked = (result: number): number => {
    if (result < 0) throw failed();
    return result;
  };
  return {
    list(directory, size) {
      const found: Dirent[] = [];
      const buffer = Buffer.alloc(size);
      for (;;) {
        const count = checked(syscall(number, directory, buffer, size));
        if (count === 0) return found;
        for (let at = 0; at < count; at += buffer.readUInt16LE(at + 16)) {
          found.push(direntAt(buffer, at));
        }
      }
    },
    seek(directory, offset) {
      checked(lseek(directory, offset, 0));
    },
    map(file, position, length) {
      const start = position - (position % page);
      const size = position + length - start;
      const [PROT_READ, MAP_SHARED] = [1, 1];
      const address = mmap(null, size, PROT_READ, MAP_SHARED, file, start) as unknown;
      // MAP_FAILED is all ones.
      if (koffi.address(address) === 0xffffffffffffffffn) throw failed();
      // Taken over to memory of our own: the mapping is gone in a moment.
      const bytes = Buffer.copyBytesFrom(new Uint8Array(koffi.view(address, size)));
      munmap(address, size);
      return bytes.subarray(position - start);
    },
    xattrs(path) {
      const text = Buffer.concat([path, Buffer.alloc(1)]);
      const names = Buffer.alloc(65_536);
      const count = checked(llistxattr(text, names, names.length));
      return fromBytes(names.subarray(0, count))
        .split('\0')
        .filter((name) => name !== '')
        .map((name) => {
          const value = Buffer.alloc(65_536);
          const asked = Buffer.from(`${name}\0`, 'latin1');
          const length = checked(lgetxattr(text, asked, value, value.length));
          return `${name}=${value.subarray(0, length).toString('base64')}`;
        })
        .sort();
    },
  };
}

/** struct linux_dirent64 (getdents64(2)). */
function direntAt(buffer: Buffer, at: number): Dirent {
  const end = buffer.indexOf(0, at + 19);
  return {
    ino: String(buffer.readBigUInt64LE(at)),
    offset: buffer.readBigInt64LE(at + 8),
    type: buffer.readUInt8(at + 18),
    name: fromBytes(buffer.subarray(at + 19, end)),
  };
}
