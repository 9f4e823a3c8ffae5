import { deflateSync } from 'node:zlib';
import { toBytes, type ByteString } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';
import {
  fingerprintBytes,
  profileBounds,
  splitPath,
  type FirstUse,
  type Profile,
} from './profile.js';

export const profileMark = Buffer.from('pinfs\x00pf');
export const profileVersion = 1;
export const profileHeadBytes = 16;

/** What the object of a use is: a whole file, a catalog, or a chunk, whose number follows. */
export const useShapes = { file: 0, catalog: 1, chunk: 2 } as const;

/** The bytes of a profile's file. @throws PinfsError USAGE: it has more uses than a profile may have. */
export function encodeProfile({ header, uses }: Profile): Buffer {
  if (uses.length > profileBounds.uses) {
    throw new PinfsError(
      'USAGE',
      `these are ${uses.length} objects, and a profile has at most ${profileBounds.uses}`,
    );
  }
  const directories = [...new Set(uses.map(({ path }) => splitPath(path).directory))];
  const text = Buffer.from(JSON.stringify(header));
  const body = Buffer.concat([
    Buffer.from([...varint(text.length)]),
    text,
    Buffer.from([...varint(directories.length), ...varint(uses.length)]),
    directoryBytes(directories),
    ...columnsOf(uses, directories),
  ]);
  const head = Buffer.alloc(profileHeadBytes);
  profileMark.copy(head);
  head.writeUInt32LE(profileVersion, 8);
  head.writeUInt32LE(body.length, 12);
  return Buffer.concat([head, deflateSync(body, { level: 9 })]);
}

/** Seven bits in a byte, the lowest first (LEB128). */
function* varint(value: number): Generator<number> {
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) yield (rest % 128) | 128;
  yield rest;
}

function numbers(values: Iterable<number>): Buffer {
  const bytes: number[] = [];
  for (const value of values) for (const byte of varint(value)) bytes.push(byte);
  return Buffer.from(bytes);
}

/** Each as what it shares with the one before, and its rest. */
function directoryBytes(directories: readonly ByteString[]): Buffer {
  const parts: Buffer[] = [];
  let before = '';
  for (const directory of directories) {
    const shared = sharedLength(before, directory);
    parts.push(numbers([shared, directory.length - shared]), toBytes(directory.slice(shared)));
    before = directory;
  }
  return Buffer.concat(parts);
}

/** Column by column: what is alike lies together. A name is told by what it adds to the last one in its directory. */
function columnsOf(uses: readonly FirstUse[], directories: readonly ByteString[]): Buffer[] {
  const numberOf = new Map(directories.map((directory, index) => [directory, index]));
  const last = new Map<ByteString, ByteString>();
  const names = uses.map(({ path }) => {
    const { directory, name } = splitPath(path);
    const shared = sharedLength(last.get(directory) ?? '', name);
    last.set(directory, name);
    return { number: numberOf.get(directory) ?? 0, shared, rest: name.slice(shared) };
  });
  return [
    numbers(names.map(({ number }) => number)),
    numbers(names.map(({ shared }) => shared)),
    numbers(names.map(({ rest }) => rest.length)),
    toBytes(names.map(({ rest }) => rest).join('')),
    numbers(uses.flatMap(shapeOf)),
    numbers(uses.map(({ gapMs }) => Math.min(gapMs, profileBounds.gapMs))),
    Buffer.concat(uses.map(({ fingerprint }) => fingerprintOf(fingerprint))),
  ];
}

function shapeOf({ kind, chunk }: FirstUse): number[] {
  if (kind === 'catalog') return [useShapes.catalog];
  return chunk === 0 ? [useShapes.file] : [useShapes.chunk, chunk];
}

function fingerprintOf(text: string): Buffer {
  const bytes = Buffer.alloc(fingerprintBytes);
  bytes.write(text.slice(0, 2 * fingerprintBytes), 'hex');
  return bytes;
}

function sharedLength(first: string, second: string): number {
  const most = Math.min(first.length, second.length);
  let length = 0;
  while (length < most && first[length] === second[length]) length++;
  return length;
}
