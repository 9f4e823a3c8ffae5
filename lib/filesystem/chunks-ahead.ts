import type { Shelf } from '../store/shelf.js';
import type { Want } from '../store/want.js';
import { chunksBehind } from '../tree/content.js';
import type { NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';

/** Objects and plain bytes. */
export interface ReadAheadCounts {
  asked: number;
  askedBytes: number;
  /** Of those, what was read afterwards. */
  used: number;
  usedBytes: number;
}

/** A file that was asked for ahead, and not read yet. */
export interface Asked {
  readonly bytes: number;
  /** How many files had been read by then. */
  readonly at: number;
}

/** The chunks of a large file that a reader who goes on in order comes to next. */
export interface ChunksAhead {
  /** A file was read behind its begin, up to `end`. */
  readOn(node: NodeId, offset: number, end: number): void;
  /** What is to be fetched now; nothing where `bytesMax` is 0. */
  take(bytesMax: number): Want[];
}

const readsInOrderMin = 2;
// Reads of a large file that lie no farther apart are in order: the kernel asks for several at once (bytes).
const orderBytesMax = 4 * 1024 * 1024;
// Who reads on in a large file gets what lies in so many bytes, and at least so many chunks.
const chunksBytes = 16 * 1024 * 1024;
const chunksMin = 4;

/** A large file that is read on. */
interface Stream {
  readonly node: NodeId;
  /** Up to where it was read, and asked for. */
  end: number;
  until: number;
  inOrder: number;
  /** What was asked for and not read yet, in order. */
  readonly asked: { readonly offset: number; readonly bytes: number }[];
}

/** @param counts what is asked for, and of it used, is added to. */
export function openChunksAhead(tree: Tree, shelf: Shelf, counts: ReadAheadCounts): ChunksAhead {
  let stream: Stream | undefined;

  function readOn(node: NodeId, offset: number, end: number): void {
    const isNear = stream?.node === node && Math.abs(offset - stream.end) <= orderBytesMax;
    if (stream === undefined || !isNear) {
      stream = { node, end, until: end, inOrder: 0, asked: [] };
      return;
    }
    stream.inOrder++;
    stream.end = Math.max(stream.end, end);
    while ((stream.asked[0]?.offset ?? Infinity) < stream.end) {
      counts.used++;
      counts.usedBytes += stream.asked.shift()?.bytes ?? 0;
    }
  }

  function take(bytesMax: number): Want[] {
    if (stream === undefined || stream.inOrder < readsInOrderMin || bytesMax === 0) return [];
    const { asked } = stream;
    const lacks = stream.until - stream.end < chunksBytes || asked.length < chunksMin;
    const entry = lacks ? tree.entry(stream.node) : undefined;
    if (entry?.kind !== 'done') return [];
    const wants: Want[] = [];
    const from = Math.max(stream.until, stream.end);
    for (const { offset, want } of chunksBehind(tree, entry.value, from, chunksMin)) {
      if (offset - stream.end >= chunksBytes && asked.length >= chunksMin) break;
      const { bytes } = want.size;
      stream.until = offset + bytes;
      if (shelf.isRecorded?.(want) === true) continue;
      asked.push({ offset, bytes });
      counts.asked++;
      counts.askedBytes += bytes;
      wants.push(want);
    }
    return wants;
  }

  return { readOn, take };
}
