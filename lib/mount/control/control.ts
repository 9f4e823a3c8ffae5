import { lstatSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { unmountModes, type UnmountMode } from '../../machine/unmount.js';
import { readGiven } from '../../files/given.js';
import type { ByteString } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { decoder, parseJson } from '../../format/schema.js';
import type { Unmounted } from './leave.js';
import { mountName } from './runtime.js';
import {
  answerValue,
  failedAnswer,
  readLine,
  writeLine,
  type ControlReply,
  type LineLimits,
} from './wire.js';

/**
 * The control socket of a mount: one JSON line asks, one JSON line answers. It lies in a 0700
 * directory (runtime.ts), beside a small JSON file that says which mount it is of.
 */

export type ControlRequest =
  | { readonly command: 'status' }
  | { readonly command: 'unmount'; readonly mode: UnmountMode }
  | { readonly command: 'explain'; readonly path: ByteString }
  | { readonly command: 'repin'; readonly pin: string; readonly dryRun: boolean }
  | { readonly command: 'leave-cache' }
  /** An absolute path begins a trace; undefined: ends it. */
  | { readonly command: 'record'; readonly file?: string };

export interface ControlHandlers {
  status(): unknown;
  /** @throws PinfsError MOUNT_BUSY */
  unmount(mode: UnmountMode): Promise<Unmounted>;
  /** @throws PinfsError MOUNT_BUSY: it is just being mounted */
  explain(path: ByteString): Promise<unknown>;
  /** @throws PinfsError: nothing has changed */
  repin(asked: Omit<ControlRequest & { command: 'repin' }, 'command'>): Promise<unknown>;
  /** @throws PinfsError MOUNT_BUSY: it is just being mounted */
  leaveCache(): Promise<unknown>;
  /** @throws PinfsError RECORDING_REFUSED, USAGE, OUTPUT_FAILED */
  record(file: string | undefined): Promise<unknown>;
}

/** What can be known of a mount without asking its process. */
export interface MountRecord {
  readonly mountpoint: string;
  readonly pid: number;
  /** ISO 8601 UTC. */
  readonly since: string;
  /** The source without credentials. */
  readonly source: string;
  /** The directory of its cache, where one was given. */
  readonly cache?: string | undefined;
  /** Digests of its options (mount-spec.ts). */
  readonly digests?: Readonly<Record<string, string>> | undefined;
}

/** Limits on what a caller may send, and how long it may take to send it. */
const requestLimits: LineLimits = { bytes: 16_384, milliseconds: 5000 };
// PATH_MAX.
const pathBytesMax = 4096;
const pinBytesMax = 1024;
const answerBytesMax = 4 * 1024 * 1024;
const recordBytesMax = 64 * 1024;
const callersMax = 16;

export interface ControlServer {
  readonly path: string;
  /** False when another process has taken the place of this socket in the meantime. */
  owned(): boolean;
  /** The mount is of another snapshot from now on. */
  update(record: MountRecord): void;
  close(): Promise<void>;
}

/**
 * Listens for one mountpoint, at which nothing of ours is mounted now. A dead socket in its place
 * is removed; that of a process which still serves the last users of a detached mount is renamed.
 * @throws PinfsError MOUNT_BUSY when another process is just mounting there; STATE_UNUSABLE.
 */
export async function serveControl(
  directory: string,
  record: MountRecord,
  handlers: ControlHandlers,
  limits: LineLimits = requestLimits,
): Promise<ControlServer> {
  const files = controlFiles(directory, record.mountpoint);
  await clearPlace(directory, files, record.mountpoint, limits);
  const server = createServer((socket) => {
    void answerCaller(socket, handlers, limits);
  });
  server.maxConnections = callersMax;
  try {
    await listen(server, files.socket);
    writeRecord(files.record, record);
  } catch (thrown) {
    server.close();
    throw new PinfsError('STATE_UNUSABLE', `can't open the control socket ${files.socket}`, {
      cause: thrown,
    });
  }
  const inode = statSync(files.socket).ino;
  const detached = controlFiles(directory, record.mountpoint, record.pid);
  const owned = () => inodeOf(files.socket) === inode;
  const update = (now: MountRecord) => {
    if (owned()) writeRecord(files.record, now);
  };
  return {
    path: files.socket,
    owned,
    update,
    close: () => closeControl(server, files, detached, owned),
  };
}

interface ControlFiles {
  readonly socket: string;
  readonly record: string;
}

/** With `pid`: those of a process that gave its place to another one. */
function controlFiles(directory: string, mountpoint: string, pid?: number): ControlFiles {
  const name = mountName(mountpoint) + (pid === undefined ? '' : `-${pid}`);
  return { socket: join(directory, `${name}.sock`), record: join(directory, `${name}.json`) };
}

async function clearPlace(
  directory: string,
  files: ControlFiles,
  mountpoint: string,
  limits: LineLimits,
): Promise<void> {
  const before = await askControl(files.socket, { command: 'status' }, limits.milliseconds);
  if (before.kind === 'dead') {
    rmSync(files.socket, { force: true });
    return;
  }
  if (before.kind === 'answer' && readState(before.value)?.state === 'starting') {
    throw new PinfsError('MOUNT_BUSY', `another pinfs process is just mounting on ${mountpoint}`, {
      advice: "See 'pinfs status'.",
    });
  }
  const pid = readRecord(files.record)?.pid;
  if (pid === undefined) {
    rmSync(files.socket, { force: true });
    return;
  }
  const detached = controlFiles(directory, mountpoint, pid);
  renameSync(files.socket, detached.socket);
  renameSync(files.record, detached.record);
}

const readState = decoder((v) => v.object({ state: v.string() }));

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      // Nothing that happens to one caller may end the process.
      server.on('error', () => undefined);
      resolve();
    });
  });
}

function inodeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.ino;
}

function writeRecord(path: string, record: MountRecord): void {
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
  renameSync(temporary, path);
}

/** Callers that are being answered get their answer; nobody new is let in. */
function closeControl(
  server: Server,
  files: ControlFiles,
  detached: ControlFiles,
  owned: () => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    if (owned()) {
      rmSync(files.record, { force: true });
      server.close(() => {
        resolve();
      });
    } else {
      // Closing would unlink the path, and that is another process's by now.
      server.unref();
      rmSync(detached.socket, { force: true });
      rmSync(detached.record, { force: true });
      resolve();
    }
  });
}

async function answerCaller(
  socket: Socket,
  handlers: ControlHandlers,
  limits: LineLimits,
): Promise<void> {
  socket.on('error', () => undefined);
  const line = await readLine(socket, limits);
  if (line.kind === 'closed' || line.kind === 'timeout') {
    socket.destroy();
    return;
  }
  // Whoever has gone by now gave up on it, and must not be served later.
  await new Promise((resolve) => setImmediate(resolve));
  if (socket.readableEnded || socket.destroyed) {
    socket.destroy();
    return;
  }
  let answer: ControlReply;
  try {
    if (line.kind === 'too-long') throw new PinfsError('USAGE', 'the request is too long');
    answer = { ok: true, value: await handle(parseRequest(line.text), handlers) };
  } catch (thrown) {
    answer = failedAnswer(thrown);
  }
  await writeLine(socket, answer);
  socket.end();
  // A caller that never reads must not keep the socket.
  socket.setTimeout(limits.milliseconds, () => socket.destroy());
}

async function handle(request: ControlRequest, handlers: ControlHandlers): Promise<unknown> {
  switch (request.command) {
    case 'status':
      return handlers.status();
    case 'unmount':
      return handlers.unmount(request.mode);
    case 'explain':
      return handlers.explain(request.path);
    case 'repin':
      return handlers.repin(request);
    case 'leave-cache':
      return handlers.leaveCache();
    case 'record':
      return handlers.record(request.file);
  }
}

const readRequest = decoder((v) =>
  v.union([
    v.object({ command: v.literal('status') }),
    v.object({ command: v.literal('unmount'), mode: v.picklist(unmountModes) }),
    v.object({
      command: v.literal('explain'),
      path: v.pipe(
        v.string(),
        v.maxLength(pathBytesMax),
        // A string of bytes.
        v.regex(/^[\0-\xff]*$/),
      ),
    }),
    v.object({
      command: v.literal('repin'),
      pin: v.pipe(v.string(), v.maxLength(pinBytesMax)),
      dryRun: v.boolean(),
    }),
    v.object({ command: v.literal('leave-cache') }),
    v.object({
      command: v.literal('record'),
      file: v.exactOptional(v.pipe(v.string(), v.startsWith('/'), v.maxLength(pathBytesMax))),
    }),
    // Of 0.1.0: its `lazy` is what `force` is now.
    v.pipe(
      v.object({ command: v.literal('unmount'), mode: v.optional(v.never()), lazy: v.boolean() }),
      v.transform(({ lazy }): ControlRequest => ({
        command: 'unmount',
        mode: lazy ? 'force' : 'orderly',
      })),
    ),
  ]),
);

/** @throws PinfsError USAGE */
export function parseRequest(text: string): ControlRequest {
  const request = readRequest(parseJson(text));
  if (request === undefined) {
    throw new PinfsError('USAGE', 'not a request that a mount understands');
  }
  return request;
}

/** `dead`: nobody listens there. `silent`: somebody does, and gives no answer in time. */
export type ControlAnswer =
  | { readonly kind: 'answer'; readonly value: unknown }
  | { readonly kind: 'dead' }
  | { readonly kind: 'silent' };

/** Asks the process of a mount. @throws PinfsError: what that process answered. */
export async function askControl(
  path: string,
  request: ControlRequest,
  milliseconds: number,
): Promise<ControlAnswer> {
  const socket = await connectTo(path);
  if (socket === 'dead' || socket === 'silent') return { kind: socket };
  try {
    await writeLine(socket, forOlder(request));
    const line = await readLine(socket, { bytes: answerBytesMax, milliseconds });
    if (line.kind !== 'line') return { kind: 'silent' };
    return { kind: 'answer', value: answerValue(line.text) };
  } finally {
    socket.destroy();
  }
}

/** What 0.1.0 understands: its `lazy` is what `force` is now. */
function forOlder(request: ControlRequest): object {
  return request.command === 'unmount' ? { ...request, lazy: request.mode === 'force' } : request;
}

function connectTo(path: string): Promise<Socket | 'dead' | 'silent'> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('error', (error) => {
      // Anything else, such as EAGAIN of a full queue, comes from somebody who lives.
      const dead = ['ECONNREFUSED', 'ENOENT', 'ENOTDIR', 'ENOTSOCK'].includes(
        errorCode(error) ?? '',
      );
      resolve(dead ? 'dead' : 'silent');
    });
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      resolve(socket);
    });
  });
}

/** A mount as its files in a runtime directory tell it. */
export interface FoundMount {
  readonly record: MountRecord;
  readonly socket: string;
  /** It gave its place to another mount on the same mountpoint, and serves those who are still in it. */
  readonly detached: boolean;
}

/** The mounts that left a record in these directories, living or dead; unreadable records are passed over. */
export function findRecords(directories: readonly string[]): readonly FoundMount[] {
  return directories.flatMap((directory) =>
    namesIn(directory)
      .filter((name) => /^[0-9a-f]{16}(-\d+)?\.json$/.test(name))
      .flatMap((name) => {
        const record = readRecord(join(directory, name));
        const socket = join(directory, name.replace('.json', '.sock'));
        const detached = name.includes('-');
        return record === undefined ? [] : [{ record, socket, detached }];
      }),
  );
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readRecord(path: string): MountRecord | undefined {
  try {
    return recordOf(parseJson(readGiven(path, recordBytesMax).toString('utf8')));
  } catch {
    return undefined; // most likely its mount ended while we looked
  }
}

// One of 0.1.0 has no marks; what is said more is passed over.
const recordOf = decoder((v) =>
  v.object({
    mountpoint: v.string(),
    pid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    since: v.string(),
    source: v.string(),
    cache: v.fallback(v.optional(v.string()), undefined),
    digests: v.fallback(v.optional(v.record(v.string(), v.string())), undefined),
  }),
);

/** Removes what a dead process left. */
export function removeRecord(found: FoundMount): void {
  rmSync(found.socket, { force: true });
  rmSync(found.socket.replace(/\.sock$/, '.json'), { force: true });
}
