import { existsSync, readFileSync } from 'node:fs';
import { fromText } from '../lib/format/bytes.js';
import {
  directory,
  file,
  makeSmallRepository,
  nested,
  special,
  symlink,
} from '../lib/publish/write-repository.js';

export const longName = 'n'.repeat(255);
export const chunkSizes = [1000, 4096, 10_000, 1, 5000] as const;
/** Longer than its chunks, whose last size is repeated. */
export const chunkedContent = Buffer.from(
  Array.from({ length: 40_000 }, (_, index) => (index * 7 + Math.floor(index / 251)) % 256),
);
const program = '/bin/true';
export const hasProgram = existsSync(program);

/** A small repository with one of everything that a file system can show. */
export const edges = makeSmallRepository({
  file: file('the content\n', { xattrs: { 'user.note': 'a note' } }),
  empty: file(''),
  chunked: file(chunkedContent, { chunks: chunkSizes }),
  script: file('#!/bin/sh\necho "ran with $1"\n', { mode: 0o755 }),
  ...(hasProgram ? { program: file(readFileSync(program), { mode: 0o755 }) } : {}),
  suid: file('#!/bin/sh\nid -u\n', { mode: 0o4755 }),
  secret: file('only for root\n', { mode: 0o600 }),
  private: directory({ inside: file('hidden from others\n') }, { mode: 0o700 }),
  one: file('two names\n', { linkGroup: 1 }),
  two: file('two names\n', { linkGroup: 1 }),
  alone: file('two names\n'),
  link: symlink('file'),
  loop: symlink('loop'),
  dangling: symlink('nowhere'),
  up: symlink('dir/../file'),
  dir: directory({ sub: directory({ deep: file('deep\n') }) }),
  nested: nested({ inside: file('in a nested catalog\n') }),
  [longName]: file('a name of 255 bytes\n'),
  [fromText('é è 日本')]: file('a name in UTF-8\n'),
  fifo: special('fifo'),
  socket: special('socket'),
  null: special('character', { mode: 0o666, rdev: 0x103 }),
  disk: special('block', { mode: 0o600, rdev: 0x801 }),
});
