import { createRequire } from 'node:module';
import { fromBytes, printable, type ByteString } from '../format/bytes.js';
import { errno, errnoWords } from '../format/errno.js';
import { asPinfsError, PinfsError } from '../format/errors.js';

type Call = (...values: unknown[]) => number;

interface Calls {
  list(path: Buffer, names: Buffer): number;
  get(path: Buffer, name: Buffer, value: Buffer): number;
}

// The kernel gives no more of either (xattr(7)).
const bytesMax = 64 * 1024;
let calls: Calls | undefined;
let buffer: Buffer | undefined;

/**
 * The extended attributes of a file, or of a link itself: Node has no call for them. None where the file system has none.
 * @throws PinfsError MODULE_UNUSABLE where koffi can't be had, INPUT_UNREADABLE
 */
export function readXattrs(path: Buffer): ReadonlyMap<ByteString, Buffer> {
  calls ??= bind();
  buffer ??= Buffer.alloc(bytesMax);
  const file = Buffer.concat([path, Buffer.alloc(1)]);
  const found = new Map<ByteString, Buffer>();
  const length = calls.list(file, buffer);
  if (length < 0 && -length === errno.ENOTSUP) return found;
  const names = fromBytes(buffer.subarray(0, checked(length, path)));
  for (const name of names.split('\0').filter((one) => one !== '')) {
    const size = calls.get(file, Buffer.from(`${name}\0`, 'latin1'), buffer);
    // It was removed meanwhile.
    if (-size === errno.ENODATA) continue;
    found.set(name, Buffer.from(buffer.subarray(0, checked(size, path))));
  }
  return found;
}

function checked(result: number, path: Buffer): number {
  if (result >= 0) return result;
  const name = printable(fromBytes(path));
  throw new PinfsError('INPUT_UNREADABLE', `${name}: its attributes: ${errnoWords(-result)}`);
}

function bind(): Calls {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const libc = koffi.load(null);
    const list = libc.func('intptr_t llistxattr(void*, void*, size_t)') as Call;
    const get = libc.func('intptr_t lgetxattr(void*, void*, void*, size_t)') as Call;
    const result = (value: number): number => (value < 0 ? -koffi.errno() : value);
    return {
      list: (path, names) => result(list(path, names, names.length)),
      get: (path, name, value) => result(get(path, name, value, value.length)),
    };
  } catch (thrown) {
    throw asPinfsError(thrown);
  }
}
