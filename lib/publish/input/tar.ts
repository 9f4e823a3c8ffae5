import { fromBytes, type ByteString } from '../../format/bytes.js';
import { malformed, memberOf, parsePax, parseTarHeader, tarBlockBytes } from './tar-header.js';
import type { TarMember } from './tar-header.js';

// Names, times and attributes of one member; of attributes the kernel allows 64 KiB.
const extendedBytesMax = 2 ** 20;

/** A member, and its content; what is not read of that before the next member is asked for is skipped. */
export interface FoundMember {
  readonly member: TarMember;
  readonly content: AsyncIterable<Buffer>;
}

/**
 * The members of a tar archive in its order: ustar, with the extended headers of POSIX and of GNU tar.
 * @throws PinfsError ARCHIVE_MALFORMED for what is none, is cut off, or has headers beyond all bounds
 */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<FoundMember> {
  const input = makeInput(source);
  const forAll = new Map<ByteString, Buffer>();
  let forNext = new Map<ByteString, Buffer>();
  for (;;) {
    const block = await input.take(tarBlockBytes);
    if (block === undefined)
      throw malformed('ends before its end mark: it was cut off, or is none');
    if (block.every((byte) => byte === 0)) break;
    const header = parseTarHeader(block);
    if ('xgLK'.includes(header.flag)) {
      if (header.size > extendedBytesMax) throw malformed('has an extended header of many bytes');
      const bytes = await input.whole(header.size);
      const isLong = header.flag === 'L' || header.flag === 'K';
      const into = header.flag === 'g' ? forAll : forNext;
      // What GNU tar writes ends with a NUL.
      const text = Buffer.from(fromBytes(bytes).replace(/\0+$/, ''), 'latin1');
      if (isLong) into.set(header.flag === 'L' ? 'path' : 'linkpath', text);
      else for (const [key, value] of parsePax(bytes)) into.set(key, value);
      if (forAll.size + forNext.size > 10_000) throw malformed('has too many extended headers');
      continue;
    }
    const member = memberOf(header, new Map([...forAll, ...forNext]));
    forNext = new Map();
    let left = member.size;
    const piece = async (): Promise<Buffer> => {
      const bytes = await input.some(left);
      if (bytes === undefined) throw malformed('is cut off');
      left -= bytes.length;
      return bytes;
    };
    const content = async function* (): AsyncGenerator<Buffer> {
      while (left > 0) yield await piece();
    };
    yield { member, content: content() };
    while (left > 0) await piece();
    await input.fill(member.size);
  }
  // A program that unpacks the archive has to come to its end as well.
  while ((await input.some(2 ** 20)) !== undefined);
}

function makeInput(source: AsyncIterable<Buffer>) {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  /** At most so many bytes, at least one; undefined at the end. */
  const some = async (most: number): Promise<Buffer | undefined> => {
    while (rest.length === 0) {
      const next = await iterator.next();
      if (next.done === true) return undefined;
      rest = next.value;
    }
    const piece = rest.subarray(0, most);
    rest = rest.subarray(piece.length);
    return piece;
  };
  /** Exactly so many; undefined where none are left. */
  const take = async (size: number): Promise<Buffer | undefined> => {
    const parts: Buffer[] = [];
    for (let left = size; left > 0;) {
      const part = await some(left);
      if (part === undefined && left === size) return undefined;
      if (part === undefined) throw malformed('is cut off');
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  };
  /** Passes what fills the last block of so many bytes. */
  const fill = async (size: number): Promise<void> => {
    const padding = (tarBlockBytes - (size % tarBlockBytes)) % tarBlockBytes;
    if ((await take(padding)) === undefined && padding > 0) throw malformed('is cut off');
  };
  const whole = async (size: number): Promise<Buffer> => {
    const bytes = await take(size);
    if (bytes === undefined && size > 0) throw malformed('is cut off');
    await fill(size);
    return bytes ?? Buffer.alloc(0);
  };
  return { some, take, fill, whole };
}
