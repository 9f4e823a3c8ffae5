import { quoted } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import type { ContentHash } from '../../format/hash.js';
import { rootHashOf, type HistoryTag } from '../../tree/history.js';
import { mirroredList, readNotes, writeNotes } from '../storage/own-notes.js';
import type { Storage } from '../storage/storage.js';

/** Which snapshots a mirror has besides the head; neither given: that of every tag. */
export interface Selection {
  readonly tags: readonly string[];
  /** So many of the newest that have a name. */
  readonly newest: number | undefined;
}

/** The root catalogs that are wanted, the head's first, each once. @throws PinfsError TAG_UNKNOWN, TAG_HASH_MALFORMED */
export function selectRoots(
  head: ContentHash,
  tags: readonly HistoryTag[],
  { tags: names, newest }: Selection,
): ContentHash[] {
  const isAll = names.length === 0 && newest === undefined;
  const chosen = isAll ? [...tags] : names.map((name) => named(tags, name));
  if (newest !== undefined) {
    const byAge = tags
      .filter(({ name }) => name !== 'trunk' && name !== 'trunk-previous')
      .sort((a, b) => b.timestamp - a.timestamp || b.revision - a.revision);
    chosen.push(...byAge.slice(0, newest));
  }
  const roots = new Map([[head.text, head]]);
  for (const hash of chosen.map(rootHashOf)) roots.set(hash.text, hash);
  return [...roots.values()];
}

function named(tags: readonly HistoryTag[], name: string): HistoryTag {
  const tag = tags.find((one) => one.name === name);
  if (tag !== undefined) return tag;
  throw new PinfsError('TAG_UNKNOWN', `there is no tag ${quoted(name)}`, {
    advice: 'See all of them with: pinfs tags SOURCE',
  });
}

/**
 * Notes which snapshots are there, for those who look at all of a storage: the tag database names others as well. What
 * was there before stays. @param before roots of the state until now, where nothing was noted
 */
export async function noteSelection(
  storage: Storage,
  { tags, newest }: Selection,
  roots: readonly ContentHash[],
  before: readonly string[],
): Promise<void> {
  if (tags.length === 0 && newest === undefined) {
    await storage.remove(mirroredList);
    return;
  }
  const there = (await readNotes(storage, mirroredList)) ?? before;
  await writeNotes(storage, mirroredList, new Set([...there, ...roots.map(({ text }) => text)]));
}
