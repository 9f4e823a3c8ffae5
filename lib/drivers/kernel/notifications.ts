import type { ByteString } from '../../format/bytes.js';
import { headerSize, incEpochMinor, notifyCodes, rootNode } from './constants.js';
import { encodeHeader, makeFrame, writeLong, type Frame } from './protocol.js';
import type { Snapshot } from './snapshots.js';

/**
 * What the kernel is told when a head mount goes over to another snapshot. Written by a thread that
 * serves nothing: the kernel holds the writer of an INVAL_ENTRY until a LOOKUP that we hold is answered.
 */

function notification(code: number, bodySize: number): Frame {
  const frame = makeFrame(headerSize.reply + bodySize);
  frame.bytes.fill(0);
  frame.length = frame.bytes.length;
  encodeHeader(frame, frame.length, code, 0, 0);
  return frame;
}

/** Every name that the kernel keeps is asked for again (from protocol 7.44 on). */
export function incEpoch(): Buffer {
  return notification(notifyCodes.INC_EPOCH, 0).bytes;
}

/** Attributes of a node, not its pages: that part can wait for a locked page. */
export function invalidateAttributes(node: number): Buffer {
  const frame = notification(notifyCodes.INVAL_INODE, 24);
  writeLong(frame.view, headerSize.reply, node);
  writeLong(frame.view, headerSize.reply + 8, -1);
  return frame.bytes;
}

/** A name in a directory, with everything below it. */
export function invalidateName(parent: number, name: ByteString): Buffer {
  const frame = notification(notifyCodes.INVAL_ENTRY, 16 + name.length + 1);
  writeLong(frame.view, headerSize.reply, parent);
  frame.view.setUint32(headerSize.reply + 8, name.length, true);
  frame.bytes.write(name, headerSize.reply + 16, 'latin1');
  return frame.bytes;
}

// A page of names, and the most that are sent where the epoch does the work: there they only help
// the kernel to forget the old snapshot earlier.
const pageSize = 1000;
const mostNames = 20_000;

function rootNames(snapshot: Snapshot, most: number, names: Set<ByteString>): void {
  const { filesystem } = snapshot;
  let after = 0;
  while (names.size < most) {
    const page = filesystem.readdir(filesystem.root, after, pageSize);
    if (page.kind !== 'done') return;
    for (const name of page.value.names) names.add(name);
    const last = page.value.cookies.at(-1);
    if (page.value.end || last === undefined) return;
    after = last;
  }
}

export interface Change {
  /** The messages, in order. */
  readonly messages: Buffer[];
  /** How many of them must have been written before the change is complete. */
  readonly needed: number;
}

/**
 * The messages for a change from one snapshot to another. All names of both roots are named: whatever
 * the kernel keeps lies below one of them, or is the name of something new. Where the epoch does the
 * work, the names only help the kernel to forget the old snapshot early, and are left out while
 * anything is held (`quiet` false), so that their writer has nobody to wait for.
 */
export function changeNotifications(
  minor: number,
  from: Snapshot,
  to: Snapshot,
  quiet: boolean,
): Change {
  const hasEpoch = minor >= incEpochMinor;
  const first = [...(hasEpoch ? [incEpoch()] : []), invalidateAttributes(rootNode)];
  if (hasEpoch && !quiet) return { messages: first, needed: first.length };
  const names = new Set<ByteString>();
  const most = hasEpoch ? mostNames : Infinity;
  rootNames(from, most, names);
  rootNames(to, most, names);
  names.delete('.');
  names.delete('..');
  const messages = [...first, ...[...names].map((name) => invalidateName(rootNode, name))];
  return { messages, needed: hasEpoch ? first.length : messages.length };
}
