/**
 * Run as a child: makes system calls on a mount, as the lines of its input say (one operation as JSON
 * each), and writes one line with what came of each. It must be a process of its own (see walk.ts).
 * Paths and names are byte strings.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createInterface } from 'node:readline';
import { fromBytes, toBytes, type ByteString } from '../lib/format/bytes.js';
import { bindCalls, type Dirent } from './random-calls.js';
import { digest } from './random-oracle.js';

interface Ranged {
  readonly path: ByteString;
  readonly position: number;
  readonly length: number;
}

/** What a client can be asked to do. Handles are numbers that the asker chooses. */
export type Operation =
  | { readonly op: 'lstat' | 'stat' | 'readlink' | 'xattrs'; readonly path: ByteString }
  /** Lists a directory with a buffer of this size. */
  | { readonly op: 'list'; readonly path: ByteString; readonly size: number }
  /** Lists, then goes back to places in the middle (of 1000) and lists from there. */
  | {
      readonly op: 'seek';
      readonly path: ByteString;
      readonly size: number;
      readonly places: readonly number[];
    }
  | ({ readonly op: 'read' | 'direct' | 'map' } & Ranged)
  | ({ readonly op: 'dd' } & Ranged)
  /** Reads all of a file in steps. */
  | { readonly op: 'whole'; readonly path: ByteString; readonly step: number }
  /** Whether two files are the same, by cmp(1). */
  | { readonly op: 'compare'; readonly path: ByteString; readonly other: ByteString }
  /** Has the kernel forget the pages of a file. */
  | { readonly op: 'dropPages'; readonly path: ByteString }
  | { readonly op: 'open' | 'openDirectory'; readonly path: ByteString; readonly handle: number }
  | {
      readonly op: 'readHandle';
      readonly handle: number;
      readonly position: number;
      readonly length: number;
    }
  | { readonly op: 'statHandle' | 'close'; readonly handle: number }
  /** What is left of an open directory. */
  | { readonly op: 'listHandle'; readonly handle: number; readonly size: number }
  /** From an open directory, not from the root. */
  | { readonly op: 'lstatAt'; readonly handle: number; readonly below: ByteString }
  | { readonly op: 'statfs' }
  /** Everything below the root. */
  | { readonly op: 'tree' };

/** Those that name a path from the root, and those on what is open. */
export type PathOperation = Extract<Operation, { readonly path: ByteString }>;
type HandleOperation = Extract<Operation, { readonly handle: number }>;

export interface Result {
  /** In the words of random-oracle.ts, or the name of an error. */
  readonly value: unknown;
  /** Inode numbers by path. */
  readonly inodes?: Readonly<Record<ByteString, string>>;
}

const { O_RDONLY, O_NONBLOCK, O_DIRECTORY, O_DIRECT } = fs.constants;
const root = process.argv[2] ?? '';
const calls = bindCalls();
const handles = new Map<number, number>();

/** Nonblocking: what has become a fifo must not hold us. */
function opened<T>(path: Buffer, flags: number, use: (file: number) => T): T {
  const file = fs.openSync(path, O_RDONLY | O_NONBLOCK | flags);
  try {
    return use(file);
  } finally {
    fs.closeSync(file);
  }
}

function full(path: ByteString): Buffer {
  return Buffer.concat([Buffer.from(root), toBytes(path)]);
}

/** As `statOf` of the oracle. */
function shownStat(it: fs.BigIntStats): string {
  const { mode, nlink, uid, gid, size, mtimeNs, rdev } = it;
  const billion = 1_000_000_000n;
  return (
    `mode ${mode.toString(8)} nlink ${nlink} owner ${uid}:${gid} size ${size} ` +
    `mtime ${mtimeNs / billion}.${mtimeNs % billion} rdev ${rdev}`
  );
}

function stated(path: ByteString, it: fs.BigIntStats): Result {
  const value = shownStat(it);
  return { value, inodes: { [path]: String(it.ino) } };
}

function range(file: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  let count = 0;
  for (let got = 1; got > 0 && count < length; count += got) {
    got = fs.readSync(file, buffer, count, length - count, position + count);
  }
  return buffer.subarray(0, count);
}

function whole(path: Buffer, step: number): string {
  return opened(path, 0, (file) => {
    const pieces: Buffer[] = [];
    for (let got = 1; got > 0;) {
      const buffer = Buffer.alloc(step);
      got = fs.readSync(file, buffer, 0, step, null);
      pieces.push(buffer.subarray(0, got));
    }
    return digest(Buffer.concat(pieces));
  });
}

function shownNames(entries: readonly Dirent[]): string[] {
  return entries.map(({ name, type }) => `${name} ${type}`).sort();
}

function listed(path: ByteString, entries: readonly Dirent[]): Result {
  const inodes = entries
    .filter(({ name }) => name !== '.' && name !== '..')
    .map(({ name, ino }) => [`${path}/${name}`, ino]);
  return {
    value: shownNames(entries),
    inodes: Object.fromEntries(inodes) as Record<ByteString, string>,
  };
}

function sought(path: ByteString, size: number, places: readonly number[]): Result {
  return opened(full(path), O_DIRECTORY, (file) => {
    const all = calls.list(file, size);
    for (const place of places) {
      const index = Math.floor((place / 1000) * (all.length + 1));
      calls.seek(file, all[index - 1]?.offset ?? 0n);
      const rest = calls.list(file, size).map(({ name }) => name);
      const wanted = all.slice(index).map(({ name }) => name);
      if (JSON.stringify(rest) !== JSON.stringify(wanted)) {
        return { value: { from: index, rest, wanted } };
      }
    }
    return listed(path, all);
  });
}

function tree(): Result {
  const inodes: Record<ByteString, string> = {};
  const lines: string[] = [];
  const visit = (path: ByteString): void => {
    const it = fs.lstatSync(full(path), { bigint: true });
    inodes[path] = String(it.ino);
    const behind = it.isFile()
      ? whole(full(path), 65_536)
      : it.isSymbolicLink()
        ? fromBytes(fs.readlinkSync(full(path), { encoding: 'buffer' }))
        : '';
    lines.push(`${path} ${shownStat(it)} ${behind}`);
    if (!it.isDirectory()) return;
    for (const name of fs.readdirSync(full(path), { encoding: 'buffer' })) {
      visit(`${path}/${fromBytes(name)}`);
    }
  };
  visit('');
  return { value: lines.sort(), inodes };
}

function handleOf(number: number): number {
  const handle = handles.get(number);
  if (handle === undefined) throw new Error(`no handle ${number}`);
  return handle;
}

function perform(operation: Operation): Result {
  switch (operation.op) {
    case 'lstat':
      return stated(operation.path, fs.lstatSync(full(operation.path), { bigint: true }));
    case 'stat':
      return { value: shownStat(fs.statSync(full(operation.path), { bigint: true })) };
    case 'readlink':
      return {
        value: fromBytes(fs.readlinkSync(full(operation.path), { encoding: 'buffer' })),
      };
    case 'xattrs':
      return { value: calls.xattrs(full(operation.path)) };
    case 'list':
      return opened(full(operation.path), O_DIRECTORY, (file) =>
        listed(operation.path, calls.list(file, operation.size)),
      );
    case 'seek':
      return sought(operation.path, operation.size, operation.places);
    case 'read':
    case 'direct': {
      const { path, position, length } = operation;
      const flags = operation.op === 'direct' ? O_DIRECT : 0;
      return {
        value: opened(full(path), flags, (file) => digest(range(file, position, length))),
      };
    }
    case 'map':
      return { value: opened(full(operation.path), 0, (file) => mapped(file, operation)) };
    case 'whole':
      return { value: whole(full(operation.path), operation.step) };
    case 'dd':
    case 'compare':
    case 'dropPages':
      return { value: byProgram(operation) };
    case 'statfs':
      return { value: statfs() };
    case 'tree':
      return tree();
    case 'open':
    case 'openDirectory':
    case 'readHandle':
    case 'statHandle':
    case 'listHandle':
    case 'lstatAt':
    case 'close':
      return onHandle(operation);
  }
}

/** An empty mapping there is not; what is behind the end of a file is left out. */
function mapped(file: number, { position, length }: Ranged): string {
  const it = fs.fstatSync(file);
  // Directories can be opened, and not mapped.
  if (it.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
  const count = Math.max(0, Math.min(length, it.size - position));
  return digest(count === 0 ? Buffer.alloc(0) : calls.map(file, position, count));
}

function onHandle(operation: HandleOperation): Result {
  const { handle } = operation;
  switch (operation.op) {
    case 'open':
    case 'openDirectory': {
      const more = operation.op === 'open' ? 0 : O_DIRECTORY;
      const file = fs.openSync(full(operation.path), O_RDONLY | O_NONBLOCK | more);
      if (operation.op === 'open' && fs.fstatSync(file).isDirectory()) {
        fs.closeSync(file);
        return { value: 'EISDIR' };
      }
      handles.set(handle, file);
      return { value: 'open' };
    }
    case 'readHandle':
      return { value: digest(range(handleOf(handle), operation.position, operation.length)) };
    case 'statHandle':
      return { value: shownStat(fs.fstatSync(handleOf(handle), { bigint: true })) };
    case 'listHandle':
      return { value: shownNames(calls.list(handleOf(handle), operation.size)) };
    case 'lstatAt': {
      const at = Buffer.from(`/proc/self/fd/${handleOf(handle)}`);
      const path = Buffer.concat([at, toBytes(operation.below)]);
      return { value: shownStat(fs.lstatSync(path, { bigint: true })) };
    }
    case 'close':
      fs.closeSync(handleOf(handle));
      handles.delete(handle);
      return { value: 'closed' };
  }
}

type ByProgram = Extract<Operation, { readonly op: 'dd' | 'compare' | 'dropPages' }>;

/** Names of programs' arguments are strings in Node: the shell gets the path as printf makes it. */
function byProgram(operation: ByProgram): string {
  const quoted = (path: ByteString) =>
    `"$(printf '${[...full(path)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')}_')"`;
  const path = `a=${quoted(operation.path)}; a="\${a%_}"`;
  const run = (text: string) =>
    spawnSync('sh', ['-c', text], { maxBuffer: 2 ** 26, timeout: 20_000, killSignal: 'SIGKILL' });
  switch (operation.op) {
    case 'dd': {
      const { position, length } = operation;
      const how = `iflag=skip_bytes,count_bytes,fullblock skip=${position} count=${length}`;
      const { status, stdout } = run(`${path}; dd if="$a" bs=5000 ${how} 2>/dev/null`);
      return status === 0 ? digest(stdout) : 'failed';
    }
    case 'compare': {
      const other = `b=${quoted(operation.other)}; b="\${b%_}"`;
      const { status } = run(`${path}; ${other}; cmp -s -- "$a" "$b"`);
      return status === 0 ? 'same' : status === 1 ? 'different' : 'failed';
    }
    case 'dropPages': {
      const { status } = run(`${path}; dd if="$a" iflag=nocache count=0 2>/dev/null`);
      return status === 0 ? 'done' : 'failed';
    }
  }
}

function statfs(): string {
  const { bsize, blocks, bfree, bavail, files, ffree } = fs.statfsSync(root);
  // No number of files, so that `df -i` shows none.
  const isUncounted = files === 0 && ffree === 0;
  return bsize > 0 && blocks > 0 && bfree <= blocks && bavail <= bfree && isUncounted
    ? 'sound'
    : JSON.stringify({ bsize, blocks, bfree, bavail, files, ffree });
}

function result(operation: Operation): Result {
  try {
    return perform(operation);
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    return { value: code ?? message };
  }
}

if (root !== '') {
  for await (const line of createInterface({ input: process.stdin })) {
    // At once, so that the asker knows which one hangs.
    fs.writeSync(1, `${JSON.stringify(result(JSON.parse(line) as Operation))}\n`);
  }
}
