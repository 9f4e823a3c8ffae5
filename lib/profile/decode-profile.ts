import { inflateSync } from 'node:zlib';
import { fromBytes, type ByteString } from '../format/bytes.js';
import { parseJson, strictDecoder } from '../format/schema.js';
import { profileHeadBytes, profileMark, profileVersion, useShapes } from './encode-profile.js';
import {
  fingerprintBytes,
  malformedProfile,
  profileBounds,
  type FirstUse,
  type Profile,
  type ProfileHeader,
} from './profile.js';

/**
 * A profile from the bytes of a file, whoever wrote it: bounded before it is inflated and before anything is made of
 * what it counts; each path is one that a tree could have.
 * @throws PinfsError PROFILE_MALFORMED
 */
export function decodeProfile(file: Buffer): Profile {
  const body = openBytes(inflated(file));
  const header = headerOf(body.bytes(body.varint(profileBounds.headerBytes)));
  const directoryCount = body.varint(profileBounds.directories);
  const useCount = body.varint(profileBounds.uses);
  const directories = readDirectories(body, directoryCount);
  const uses = readUses(body, directories, useCount);
  if (!body.isAtEnd) throw malformedProfile('something follows its end');
  return { header, uses };
}

function inflated(file: Buffer): Buffer {
  if (file.length > profileBounds.storedBytes) throw malformedProfile('it is too large');
  if (file.length < profileHeadBytes || !file.subarray(0, profileMark.length).equals(profileMark))
    throw malformedProfile('it does not begin as one');
  const version = file.readUInt32LE(profileMark.length);
  if (version !== profileVersion) {
    throw malformedProfile(
      `it is of version ${version}, and this pinfs reads version ${profileVersion}`,
    );
  }
  const length = file.readUInt32LE(profileMark.length + 4);
  if (length > profileBounds.plainBytes) throw malformedProfile('it is too large');
  let plain: Buffer;
  try {
    plain = inflateSync(file.subarray(profileHeadBytes), { maxOutputLength: Math.max(1, length) });
  } catch {
    throw malformedProfile('it is cut, or its check sum is wrong');
  }
  if (plain.length !== length) throw malformedProfile('it has another length than it says');
  return plain;
}

const decodeHeader: (value: unknown) => ProfileHeader = strictDecoder(
  (v) => {
    const text = v.pipe(v.string(), v.maxLength(1000));
    return v.object({ repository: text, rootHash: text, made: text, writer: text });
  },
  () => malformedProfile('its header says something else'),
);

function headerOf(bytes: Buffer): ProfileHeader {
  return decodeHeader(parseJson(bytes.toString('utf8')));
}

function readDirectories(body: Bytes, count: number): ByteString[] {
  const directories: ByteString[] = [];
  let before: ByteString = '';
  let all = 0;
  for (let index = 0; index < count; index++) {
    const shared = body.varint(before.length);
    const rest = body.bytes(body.varint(profileBounds.pathBytes - shared));
    const path = before.slice(0, shared) + fromBytes(rest);
    if (!isDirectory(path)) throw malformedProfile('a path in it is none');
    // What is shared is not in the file, and would let a small one fill the memory.
    all += path.length;
    if (all > profileBounds.plainBytes) throw malformedProfile('its paths are too long');
    directories.push(path);
    before = path;
  }
  return directories;
}

function readUses(body: Bytes, directories: readonly ByteString[], count: number): FirstUse[] {
  const numbers = column(count, () => body.varint(Math.max(0, directories.length - 1)));
  if (count > 0 && directories.length === 0) throw malformedProfile('a path in it is none');
  const shared = column(count, () => body.varint(profileBounds.nameBytes));
  const lengths = column(count, () => body.varint(profileBounds.nameBytes));
  const last = new Map<ByteString, ByteString>();
  let all = 0;
  const paths = Array.from({ length: count }, (_, index) => {
    const directory = directories[numbers[index] ?? 0] ?? '';
    const before = last.get(directory) ?? '';
    if ((shared[index] ?? 0) > before.length) throw malformedProfile('a name in it is none');
    const name = before.slice(0, shared[index]) + fromBytes(body.bytes(lengths[index] ?? 0));
    if (!isName(name) && (name !== '' || directory !== ''))
      throw malformedProfile('a name in it is none');
    last.set(directory, name);
    const path = name === '' ? '' : `${directory}/${name}`;
    all += path.length;
    if (path.length > profileBounds.pathBytes || all > profileBounds.plainBytes)
      throw malformedProfile('its paths are too long');
    return path;
  });
  const shapes = Array.from({ length: count }, () => readShape(body));
  const gaps = column(count, () => body.varint(profileBounds.gapMs));
  return paths.map((path, index) => ({
    path,
    kind: shapes[index]?.kind ?? 'file',
    chunk: shapes[index]?.chunk ?? 0,
    gapMs: gaps[index] ?? 0,
    fingerprint: body.bytes(fingerprintBytes).toString('hex'),
  }));
}

function column(count: number, read: () => number): Float64Array {
  const values = new Float64Array(count);
  for (let index = 0; index < count; index++) values[index] = read();
  return values;
}

function readShape(body: Bytes): Pick<FirstUse, 'kind' | 'chunk'> {
  switch (body.varint(useShapes.chunk)) {
    case useShapes.file:
      return { kind: 'file', chunk: 0 };
    case useShapes.catalog:
      return { kind: 'catalog', chunk: 0 };
    default:
      return { kind: 'file', chunk: body.varint(profileBounds.uses) };
  }
}

function isName(name: ByteString): boolean {
  if (name === '' || name === '.' || name === '..' || name.length > profileBounds.nameBytes)
    return false;
  return !name.includes('/') && !name.includes('\0');
}

function isDirectory(path: ByteString): boolean {
  if (path === '') return true;
  return path.startsWith('/') && path.slice(1).split('/').every(isName);
}

interface Bytes {
  readonly isAtEnd: boolean;
  varint(most: number): number;
  bytes(count: number): Buffer;
}

function openBytes(buffer: Buffer): Bytes {
  let at = 0;
  return {
    get isAtEnd() {
      return at === buffer.length;
    },
    varint(most) {
      let value = 0;
      for (let scale = 1; scale < 2 ** 56; scale *= 128) {
        const next = buffer[at++];
        if (next === undefined) break;
        value += (next & 127) * scale;
        if (next > 127) continue;
        if (value <= most) return value;
        break;
      }
      throw malformedProfile('a number in it is cut, or above its bound');
    },
    bytes(count) {
      if (at + count > buffer.length) throw malformedProfile('it is cut');
      at += count;
      return buffer.subarray(at - count, at);
    },
  };
}
