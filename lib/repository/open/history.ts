import { existsSync } from 'node:fs';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import type { ContentHash } from '../../format/hash.js';
import { isoTime } from '../../format/time.js';
import { sizeLimits, type Want } from '../../store/want.js';
import { openHistory, rootHashOf, type HistoryTag, type HistoryTags } from '../../tree/history.js';
import { tagVerdict } from '../../trust/verdicts.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import type { Opening } from './opening.js';

// How often what leaves the cache before it can be opened is fetched.
const triesMax = 3;

/** A tag whose root hash is sound; or a revision that was found by another name. */
export interface ResolvedTag {
  readonly name: string;
  /** No tag: so it was asked for, and the next time that may be another one. */
  readonly isUntagged?: true;
  readonly hash: ContentHash;
  readonly revision: number;
  readonly timestamp: number;
  /** Plain size of its root catalog, where the history says it. */
  readonly size: number | undefined;
}

/** The history database that a manifest names. @throws PinfsError HISTORY_MISSING, HISTORY_MALFORMED, … */
export async function readHistory(
  opening: Opening,
  history: ContentHash | undefined,
  signal: AbortSignal,
): Promise<HistoryTags> {
  if (history === undefined) {
    throw new PinfsError('HISTORY_MISSING', `${opening.fqrn} has no history of tags`, {
      advice: 'Pin by root hash instead.',
    });
  }
  const want = historyWant(history);
  const { store } = opening;
  store.shelf.expect?.([want]);
  // Others that use the cache make room in it meanwhile.
  store.hold(want);
  try {
    for (let tries = 0; tries < triesMax; tries++) {
      await fetchHistory(opening, want, signal);
      const tags = openIfThere(opening, want);
      if (tags !== undefined) return tags;
    }
  } finally {
    store.release(want);
  }
  throw new PinfsError('CACHE_UNUSABLE', 'the history of tags left the cache at once', {
    advice: 'Try again; something removes or moves the cache just now.',
  });
}

async function fetchHistory({ store }: Opening, want: Want, signal: AbortSignal): Promise<void> {
  try {
    await store.fetch(want, signal, { brief: true });
  } catch (thrown) {
    const error = asPinfsError(thrown);
    if (error.code !== 'OBJECT_MISSING') throw error;
    throw new PinfsError('HISTORY_MISSING', `the history of tags is missing: ${error.message}`, {
      cause: error,
    });
  }
}

/** Undefined: it left the cache meanwhile. */
function openIfThere({ fqrn, store: { shelf } }: Opening, want: Want): HistoryTags | undefined {
  const path = shelf.path(want);
  if (path === undefined) return undefined;
  try {
    const tags = openHistory(path, fqrn);
    return shelf.stillThere?.() === false ? undefined : tags;
  } catch (thrown) {
    if (existsSync(path)) throw thrown;
    return undefined;
  }
}

/** The first tag with this root hash, if there is one. @throws PinfsError HISTORY_*. */
export async function findRoot(
  opening: Opening,
  history: ContentHash | undefined,
  rootHash: string,
  signal: AbortSignal,
): Promise<ResolvedTag | undefined> {
  const { tags } = await readHistory(opening, history, signal);
  const tag = tags.find(({ hash }) => hash === rootHash);
  return tag === undefined ? undefined : resolvedTag(tag);
}

/** @throws PinfsError TAG_HASH_MALFORMED */
export function resolvedTag(tag: HistoryTag): ResolvedTag {
  return {
    name: tag.name,
    hash: rootHashOf(tag),
    revision: tag.revision,
    timestamp: tag.timestamp,
    size: tag.size === 0 ? undefined : tag.size,
  };
}

/** What a judged head vouches for where its history names this tag. */
export function verdictOfTag(head: Verdict, tag: ResolvedTag): Verdict {
  const verdict = tagVerdict(head, { ...tag, rootHash: tag.hash });
  const published = isoTime(tag.timestamp);
  if (tag.isUntagged !== true) return { ...verdict, published };
  const found = `revision ${tag.revision} with the root hash ${tag.hash.text}`;
  const summary = `${found}, found as ${tag.name} by the head of: ${head.summary}`;
  return {
    ...verdict,
    published,
    tag: undefined,
    summary: head.status === 'verified' ? summary : head.summary,
  };
}

/** The object of a history, whose size nobody promises. */
export function historyWant(hash: ContentHash): Want {
  return {
    object: { hash, kind: 'history' },
    compression: 'zlib',
    size: { kind: 'limit', bytes: sizeLimits.history },
    path: '',
  };
}
