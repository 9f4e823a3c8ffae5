import type { ByteString } from '../../../format/bytes.js';
import { headerSize, incEpochMinor, notifyCodes, rootNode } from '../protocol/constants.js';
import { encodeReplyHeader, makeFrame, writeLong, type Frame } from '../protocol/protocol.js';
import type { ServedSnapshot } from './snapshots.js';

/**
 * What the kernel is told when a mount goes over to another snapshot. Written by a thread that
 * serves nothing: the kernel holds the writer of an INVAL_ENTRY until every LOOKUP in that directory is
 * answered, also those that are held or not yet read.
 */

function notification(code: number, bodySize: number): Frame {
  const frame = makeFrame(headerSize.reply + bodySize);
  frame.bytes.fill(0);
  frame.length = frame.bytes.length;
  encodeReplyHeader(frame, frame.length, code, 0, 0);
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

/** What the kernel keeps of a directory's listing: it has pages, as the content of a file has. */
function invalidateListing(node: number): Buffer {
  const frame = notification(notifyCodes.INVAL_INODE, 24);
  writeLong(frame.view, headerSize.reply, node);
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

const pageEntriesMax = 1000;

function rootNames({ filesystem }: ServedSnapshot, names: Set<ByteString>): void {
  for (let after = 0; ;) {
    const page = filesystem.readdir(filesystem.root, after, pageEntriesMax);
    if (page.kind !== 'done') return;
    for (const name of page.value.names) names.add(name);
    const last = page.value.cookies.at(-1);
    if (page.value.end || last === undefined) return;
    after = last;
  }
}

/**
 * The messages for a change from one snapshot to another, in order. Where the kernel has epochs, one word
 * does the work, and nobody has to be waited for. Elsewhere all names of both roots are named: whatever the
 * kernel keeps lies below one of them, or is the name of something new.
 */
export function changeNotifications(
  minor: number,
  from: ServedSnapshot,
  to: ServedSnapshot,
): Buffer[] {
  // The root alone is the same node before and after; of a pin the kernel keeps its listing, too.
  const root = [invalidateAttributes(rootNode), invalidateListing(rootNode)];
  if (minor >= incEpochMinor) return [incEpoch(), ...root];
  const names = new Set<ByteString>();
  rootNames(from, names);
  rootNames(to, names);
  names.delete('.');
  names.delete('..');
  return [...root, ...[...names].map((name) => invalidateName(rootNode, name))];
}
