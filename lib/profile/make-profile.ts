import type { Trace } from '../trace/trace.js';
import { traceObjectKinds } from '../trace/trace.js';
import { digestBytes } from '../trace/trace.js';
import {
  fingerprintBytes,
  profileBounds,
  type FirstUse,
  type Profile,
  type ProfileHeader,
} from './profile.js';

/**
 * The profile of what was recorded: each object at its first use. What has no path (history, certificates, traces of
 * other tools) is left out.
 * @param facts what is to stand in its header beside what the trace says.
 */
export function makeProfile(
  trace: Trace,
  { made, writer }: Pick<ProfileHeader, 'made' | 'writer'>,
): Profile {
  const seen = new Uint8Array(trace.objectTable.count);
  const uses: FirstUse[] = [];
  let before = 0;
  const chunks = new Map<string, number>();
  for (let index = 0; index < trace.accessCount; index++) {
    const object = trace.objects[index] ?? 0;
    if (seen[object] === 1 || uses.length >= profileBounds.uses) continue;
    const use = useOf(trace, index, object, { before, chunks });
    if (use === undefined) continue;
    seen[object] = 1;
    uses.push(use);
    before = trace.times[index] ?? before;
  }
  const { repository, rootHash } = trace.header;
  return { header: { repository, rootHash, made, writer }, uses };
}

const openOperation = 0;

function useOf(
  { times, paths, pathNumbers, objectTable, operations }: Trace,
  index: number,
  object: number,
  { before, chunks }: { before: number; chunks: Map<string, number> },
): FirstUse | undefined {
  const name = traceObjectKinds[objectTable.kinds[object] ?? 0];
  const path = paths[pathNumbers[index] ?? 0] ?? '';
  const isCatalog = name === 'catalog';
  if (!isCatalog && name !== 'data' && name !== 'chunk') return undefined;
  // Who only opens a file reads nothing of it.
  if (!isCatalog && (path === '' || operations[index] === openOperation)) return undefined;
  const digest = objectTable.digests.subarray(
    object * digestBytes,
    object * digestBytes + fingerprintBytes,
  );
  return {
    path: path === '' || path.startsWith('/') ? path : `/${path}`,
    kind: isCatalog ? 'catalog' : 'file',
    chunk: name === 'chunk' ? nextChunk(chunks, path) : 0,
    gapMs: Math.max(0, Math.round(((times[index] ?? before) - before) / 1000)),
    fingerprint: Buffer.from(digest).toString('hex'),
  };
}

function nextChunk(chunks: Map<string, number>, path: string): number {
  const number = (chunks.get(path) ?? 0) + 1;
  chunks.set(path, number);
  return number;
}
