import { errno } from '../../../format/errno.js';
import type { Entry } from '../../../tree/entry.js';
import { absent, isKeptFrom } from '../../../filesystem/magic.js';
import { done, type Done, type Failure, type Outcome } from '../../../store/want.js';
import { isSystemAdministrator, shownNames } from '../../../machine/capabilities.js';
import { headerSize, incEpochMinor, openFlags } from '../protocol/constants.js';
import { encodeInit, negotiate } from '../protocol/negotiation.js';
import {
  decodeForgets,
  decodeInit,
  decodeInterrupt,
  decodeRelease,
  direntSize,
  encodeAttrOut,
  encodeDirent,
  encodeEntry,
  encodeNoEntry,
  encodeOpen,
  encodeXattrSize,
  inHeader,
  type GetxattrIn,
  type Lifetime,
  type ReadIn,
} from '../protocol/protocol.js';
import { never, refusal, silent, type KernelAnswer, type Call } from './service.js';
import {
  closeDirectoryHandle,
  closeHandle,
  forget,
  isPlain,
  kernelNodeHigh,
  kernelNodeLow,
  openHandle,
  snapshotOfHandle,
} from './snapshots.js';

/** What is done for each opcode. Side effects (lookup counts) come after the last possible miss. */

const body = headerSize.reply;
const invalid = refusal(errno.EINVAL);
const stale = refusal(errno.ESTALE);
const notSupported = refusal(errno.ENOSYS);
const nothing = done(0);

export function runInit(call: Call): KernelAnswer {
  const { service } = call;
  const request = decodeInit(call.frame);
  if (request === undefined) return invalid;
  const connection = negotiate(request, service.settings.wishes);
  service.connected(connection);
  if (typeof connection === 'string') return refusal(errno.EPROTO);
  service.connection = connection;
  return encodeInit(call.output, body, connection);
}

export function runForget(call: Call, batch: boolean): KernelAnswer {
  const { snapshots } = call.service;
  const sound = decodeForgets(call.frame, batch, (high, count) => {
    forget(snapshots, high, count);
  });
  if (!sound) snapshots.oddForgets += 1;
  return silent;
}

export function runInterrupt(call: Call): KernelAnswer {
  const unique = decodeInterrupt(call.frame);
  if (unique !== undefined) call.service.interrupt(unique);
  return silent;
}

const noValue: Done<undefined> = done(undefined);

/** An absent name is a value, so that the kernel can keep it. */
export function lookup(call: Call, name: string): Outcome<Entry | undefined> {
  const outcome = call.snapshot.filesystem.lookup(call.node, name);
  return outcome.kind === 'failure' && outcome.errno === errno.ENOENT ? noValue : outcome;
}

export function encodeLookup(call: Call, attributes: Entry | undefined): number {
  const names = isTold(call, attributes) ? call.service.lifetimes.names : never;
  if (attributes === undefined) return encodeNoEntry(call.output, body, names);
  call.snapshot.lookups += 1;
  return encodeNode(call, body, attributes, names);
}

/**
 * Whether the kernel will be told when a name goes over to another snapshot. A kernel without epochs
 * is told the names that the roots list: what is hidden or absent there it must not keep.
 */
function isTold(call: Call, attributes: Entry | undefined): boolean {
  const { settings, connection } = call.service;
  if (!call.isRoot || (connection?.minor ?? 0) >= incEpochMinor) return true;
  // A pin goes over when somebody asks for that; names that are looked for in vain need not be asked for each time.
  if (settings.lifetime === 'pinned') return attributes?.hidden !== true;
  return attributes?.hidden === false;
}

function encodeNode(call: Call, at: number, attributes: Entry, names: Lifetime): number {
  const { values } = call.service.lifetimes;
  const low = kernelNodeLow(attributes.node);
  const plain = attributes.xattrs === undefined;
  const high = kernelNodeHigh(call.snapshot, attributes.node, plain);
  const { generation } = call.snapshot;
  return encodeEntry(call.output.view, at, low, high, generation, attributes, names, values);
}

export function encodeGetattr(call: Call, attributes: Entry): number {
  const { lifetimes } = call.service;
  const values = call.isRoot ? lifetimes.rootValues : lifetimes.values;
  return encodeAttrOut(call.output.view, body, attributes, values);
}

export function openFile(call: Call, flags: number): Outcome<Entry> {
  const outcome = call.snapshot.filesystem.open(call.node, flags);
  if (outcome.kind !== 'done') return outcome;
  const { connection, settings } = call.service;
  return settings.noOpen && connection?.noOpen === true ? notSupported : outcome;
}

// Below this a file is not worth the system calls of its own that passthrough takes.
const backedBytesMin = 128 * 1024;

/** Pages keep over opens: what is behind a node id never changes. */
export function encodeOpenFile(call: Call, { size }: Entry): number {
  const { service, snapshot, node } = call;
  service.opens += 1;
  const backings = service.connection?.passthrough === true ? service.backings : undefined;
  const find = () => (size < backedBytesMin ? undefined : snapshot.backing?.(node));
  const handle = openHandle(snapshot);
  const id = backings?.open(nodeKey(call, handle), find) ?? 0;
  const kept = service.settings.keepsNothing === true ? openFlags.DIRECT_IO : openFlags.KEEP_CACHE;
  const flags = id > 0 ? openFlags.PASSTHROUGH : kept;
  return encodeOpen(call.output.view, body, handle, flags | openFlags.NOFLUSH, id);
}

/** Of a node in its snapshot: the id alone may come again. */
function nodeKey({ frame }: Call, handle: number): string {
  return `${handle}:${inHeader.nodeHigh(frame)}:${inHeader.nodeLow(frame)}`;
}

export function release(call: Call): number | Failure {
  const handle = decodeRelease(call.frame);
  if (handle === undefined) return invalid;
  call.service.backings?.release(nodeKey(call, handle));
  closeHandle(call.service.snapshots, handle);
  return 0;
}

export function opendir(call: Call): Outcome<Entry> {
  const { connection, settings } = call.service;
  if (settings.noOpendir && connection?.noOpendir === true) return notSupported;
  return call.snapshot.filesystem.getattr(call.node);
}

/**
 * The handle names the snapshot, so that a listing of the root goes on in the one in which it began,
 * and holds it until RELEASEDIR. For the same reason the kernel does not keep the root's listing.
 */
export function encodeOpendir(call: Call): number {
  const { service, snapshot } = call;
  service.directoryOpens += 1;
  snapshot.lookups += 1;
  const { lifetime, keepsNothing } = service.settings;
  const isNotKept = keepsNothing === true || (call.isRoot && lifetime !== 'pinned');
  const keep = isNotKept ? 0 : keepListing;
  return encodeOpen(call.output.view, body, openHandle(snapshot), keep);
}

const keepListing = openFlags.KEEP_CACHE | openFlags.CACHE_DIR;

export function releasedir(call: Call): number | Failure {
  const handle = decodeRelease(call.frame);
  if (handle === undefined) return invalid;
  closeDirectoryHandle(call.service.snapshots, handle);
  return 0;
}

/** What was opened is of a snapshot that is gone, and another one has its node ids by now. */
function isOfAnother({ service, snapshot }: Call, { handle }: ReadIn): boolean {
  return handle !== 0 && snapshotOfHandle(service.snapshots, handle) !== snapshot;
}

export function read(call: Call, request: ReadIn): Outcome<number> {
  const { output, snapshot } = call;
  if (request.size > output.bytes.length - body) return invalid;
  if (isOfAnother(call, request)) return stale;
  const outcome = snapshot.filesystem.read(
    call.node,
    request.offset,
    request.size,
    output.bytes,
    body,
  );
  if (outcome.kind === 'done') {
    const { offset } = request;
    if (offset === 0) snapshot.ahead?.read(call.node);
    else snapshot.ahead?.readOn(call.node, offset, offset + outcome.value);
  } else if (outcome.kind === 'miss' && request.offset === 0) snapshot.ahead?.missed(call.node);
  return outcome;
}

// The least that a record takes: a name of up to eight bytes.
const leastPlain = direntSize(1);
const entryBytes = 128;

export function readdir(call: Call, request: ReadIn): Outcome<number> {
  return listDirectory(call, request, false);
}

export function readdirplus(call: Call, request: ReadIn): Outcome<number> {
  return listDirectory(call, request, true);
}

/** Writes whole records, as many as fit; none means the end. */
function listDirectory(call: Call, request: ReadIn, plus: boolean): Outcome<number> {
  const { output, service, node } = call;
  if (!call.isRoot && isOfAnother(call, request)) return stale;
  const opened = call.isRoot ? snapshotOfHandle(service.snapshots, request.handle) : undefined;
  const snapshot = opened ?? call.snapshot;
  call.snapshot = snapshot;
  const directory = call.isRoot ? snapshot.filesystem.root : node;
  // After the last entry the kernel asks once more, for every directory.
  const { listed } = service;
  if (listed.directory === directory && listed.snapshot === snapshot) {
    if (listed.cookie === request.offset && request.offset > 0) return nothing;
  }
  const size = Math.min(request.size, output.bytes.length - body);
  const least = leastPlain + (plus ? entryBytes : 0);
  let used = 0;
  let given = 0;
  let after = request.offset;
  for (let full = size < least; !full;) {
    const limit = Math.ceil((size - used) / least);
    const page = snapshot.filesystem.readdir(directory, after, limit);
    if (page.kind === 'miss' || (page.kind === 'failure' && used === 0)) return page;
    if (page.kind === 'failure') break;
    const { names, attributes, cookies } = page.value;
    let isLast = page.value.end;
    full = isLast || names.length === 0;
    for (const [index, name] of names.entries()) {
      const of = attributes[index];
      const cookie = cookies[index];
      if (of === undefined || cookie === undefined) return invalid;
      const record = direntSize(name.length) + (plus ? entryBytes : 0);
      if (used + record > size) {
        full = true;
        isLast = false;
        break;
      }
      const at = body + used;
      if (name !== '.' && name !== '..') snapshot.ahead?.shown(of);
      if (plus) given += encodeEntryPlus(call, at, name, of);
      encodeDirent(output, plus ? at + entryBytes : at, name, of, cookie);
      used += record;
      after = cookie;
    }
    if (isLast) {
      service.listed = { snapshot, directory, cookie: after };
      service.isDue = true;
      snapshot.ahead?.listed(directory);
    }
  }
  snapshot.lookups += given;
  return done(used);
}

/**
 * The entry before a record of READDIRPLUS; how many lookups it counts for. The root of a head lists
 * names only: the kernel links an entry with the epoch of when it takes the answer in, not of when it
 * asked, so that one from before a change would stay believed behind it. What is below hangs on node
 * ids of its revision.
 */
function encodeEntryPlus(call: Call, at: number, name: string, attributes: Entry): number {
  if (call.isRoot && call.service.settings.lifetime !== 'pinned') {
    encodeNoEntry(call.output, at, never);
    return 0;
  }
  // A broken entry says why only when it is looked up; `.` and `..` have no entry by the protocol.
  if (name === '.' || name === '..' || attributes.broken !== undefined) {
    encodeNoEntry(call.output, at, never);
    return 0;
  }
  encodeNode(call, at, attributes, call.service.lifetimes.names);
  return 1;
}

export function encodeLength(_call: Call, length: number): number {
  return length;
}

export function encodeText(call: Call, text: string): number {
  return call.output.bytes.write(text, body, 'latin1');
}

/** What the kernel and `ls` ask for by themselves; nothing that pinfs makes up has such a name. */
function isOfSystem(name: string): boolean {
  return name.startsWith('security.') || name.startsWith('system.');
}

export function getxattr(
  call: Call,
  request: GetxattrIn,
): Outcome<{ readonly size: number; readonly value: Buffer }> {
  const { noXattrs, protectedXattrs } = call.service.settings;
  if (noXattrs) return notSupported;
  if (protectedXattrs && isKeptFrom(protectedXattrs, inHeader.gid(call.frame), request.name))
    return refusal(errno.ENODATA);
  if (isPlain(inHeader.nodeHigh(call.frame)) && isOfSystem(request.name))
    return refusal(absent(request.name));
  const outcome = call.snapshot.filesystem.getxattr(call.node, request.name);
  if (outcome.kind !== 'done') return outcome;
  return fitting(request.size, outcome.value, call);
}

export function listxattr(
  call: Call,
  size: number,
): Outcome<{ readonly size: number; readonly value: Buffer }> {
  if (call.service.settings.noXattrs) return notSupported;
  const outcome = call.snapshot.filesystem.listxattr(call.node);
  if (outcome.kind !== 'done') return outcome;
  const mayAll = () => isSystemAdministrator(inHeader.pid(call.frame));
  const names = shownNames(outcome.value, mayAll)
    .map((name) => `${name}\0`)
    .join('');
  return fitting(size, Buffer.from(names, 'latin1'), call);
}

/** `size` is what the caller has room for; 0 asks how much is needed. */
function fitting(size: number, value: Buffer, call: Call) {
  const room = size === 0 ? value.length : Math.min(size, call.output.bytes.length - body);
  return value.length > room ? refusal(errno.ERANGE) : done({ size, value });
}

export function encodeXattr(
  call: Call,
  result: { readonly size: number; readonly value: Buffer },
): number {
  const { size, value } = result;
  if (size === 0) return encodeXattrSize(call.output.view, body, value.length);
  return value.copy(call.output.bytes, body);
}
