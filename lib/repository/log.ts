import { asPinfsError, PinfsError } from '../format/errors.js';
import { parseHash } from '../format/hash.js';
import type { ByteString } from '../format/bytes.js';
import type { Want } from '../store/want.js';
import { runOperation } from '../store/run.js';
import type { HistoryTag } from '../tree/history.js';
import type { Verdict } from '../trust/verdict/verdict.js';
import { openAsAsked } from './open.js';
import { askedOnce } from './open/asked-once.js';
import { processEnvironment, type Environment } from './open/environment.js';
import { judgedHead, rootWant } from './open/head.js';
import { readHistory } from './open/history.js';
import { previousRoot } from './open/names.js';
import { openRoot } from './open/root-tree.js';
import { prepare, type Opening } from './open/opening.js';
import type { OpenOptions } from './open/options.js';
import { firstChange } from './use/diff.js';
import { valueOf } from './use/path.js';
import type { Reached } from './use/reach.js';

/* The revisions of a repository, from a snapshot back: by the tags of its history, and from root catalog to root catalog. */

export interface LoggedRevision {
  readonly revision: number;
  readonly rootHash: string;
  /** Seconds since 1970. */
  readonly published: number;
  /** The tags that name it, with their descriptions; none: nobody named it. */
  readonly tags: readonly Pick<HistoryTag, 'name' | 'description'>[];
  /** The revision before it that it was compared with, or would be; undefined: none that can be had. */
  readonly previous: number | undefined;
}

export interface LogOptions {
  /** Only revisions that changed something at or below this path, but for times. */
  readonly path?: ByteString;
  /** Told once of what the log begins with: its verdict. */
  readonly opened: (verdict: Verdict) => void;
  /** Told where revisions are left out, since the source does not have them any more or can't be asked. */
  readonly gap: (behind: number, error: PinfsError) => void;
}

/**
 * Revisions, newest first: those that tags name, and those that no tag names as far as they can be had. As many root
 * catalogs are fetched as are needed for those that are taken from it.
 * @throws PinfsError as the opening of SOURCE[@PIN]; NOT_FOUND: the snapshot has no such path.
 */
export async function* revisionsOf(
  options: OpenOptions,
  how: LogOptions,
  environment: Environment = processEnvironment,
): AsyncGenerator<LoggedRevision> {
  const prepared = await prepare(options, environment);
  const opening = { ...prepared, source: askedOnce(prepared.source) };
  try {
    const repository = await openAsAsked(opening);
    how.opened(repository.verdict);
    const { root } = repository.descriptor;
    const tags = await tagsOf(opening);
    repository.leave();
    const log: Log = { opening, how, tags };
    yield* how.path === undefined ? walkBack(log, root) : changesAt(log, root, how.path);
  } finally {
    await prepared.close();
  }
}

interface Log {
  readonly opening: Opening;
  readonly how: LogOptions;
  /** Revisions that have tags, highest first. */
  readonly tags: readonly Tagged[];
}

interface Tagged {
  readonly hash: string;
  readonly revision: number;
  readonly published: number;
  readonly size: number;
  readonly names: readonly Pick<HistoryTag, 'name' | 'description'>[];
}

/** The tags of the head, where one is verified; by a pin that needs no signature one is not asked for. */
async function tagsOf(opening: Opening): Promise<Tagged[]> {
  if (opening.keys.length === 0) return [];
  const { failure, manifest } = await judgedHead(opening, opening.signal);
  const kept = opening.seen.get(opening.fqrn)?.head?.historyHash;
  const history =
    failure === undefined ? manifest?.history : kept === undefined ? undefined : parseHash(kept);
  if (history === undefined) return [];
  const { tags } = await readHistory(opening, history, opening.signal);
  const byRoot = new Map<string, Tagged>();
  for (const { name, description, hash, revision, timestamp, size, branch } of tags) {
    // Other branches have a line of their own.
    if (branch !== '' || parseHash(hash) === undefined) continue;
    const names = [...(byRoot.get(hash)?.names ?? []), { name, description }];
    byRoot.set(hash, { hash, revision, published: timestamp, size, names });
  }
  return [...byRoot.values()].sort((a, b) => b.revision - a.revision);
}

/** Where a walk back stands. */
interface Step extends LoggedRevision {
  readonly root: Want;
}

/** All revisions, without looking into them. */
async function* walkBack(log: Log, root: Want): AsyncGenerator<Step> {
  let at: Step | undefined = await stepAt(log, root);
  while (at !== undefined) {
    const next: Step | undefined = await stepBefore(log, at);
    yield { ...at, previous: next?.revision };
    at = next;
  }
}

async function stepAt(log: Log, root: Want): Promise<Step> {
  const tree = await openRoot(log.opening, root, log.opening.signal);
  const { revision, lastModified } = tree.properties;
  tree.close();
  const rootHash = root.object.hash.text;
  const tagged = log.tags.find(({ hash }) => hash === rootHash);
  return {
    root,
    revision,
    rootHash,
    published: tagged?.published ?? lastModified,
    tags: tagged?.names ?? [],
    previous: undefined,
  };
}

/** The revision before; that of the next older tag where the one before it is not to be had. */
async function stepBefore(log: Log, { root, revision }: Step): Promise<Step | undefined> {
  const tagged = log.tags.find((tag) => tag.revision < revision);
  // Nothing lies between them.
  if (tagged?.revision === revision - 1) return stepOfTag(tagged);
  try {
    const tree = await openRoot(log.opening, root, log.opening.signal);
    const previous = previousRoot(tree.properties);
    tree.close();
    if (previous === undefined) return tagged && stepOfTag(tagged);
    if (previous.object.hash.text === tagged?.hash) return stepOfTag(tagged);
    const found = await stepAt(log, previous);
    // What is named need be no older one.
    const isNext = found.revision < revision && found.revision > (tagged?.revision ?? -1);
    return isNext || tagged === undefined ? olderThan(found, revision) : stepOfTag(tagged);
  } catch (thrown) {
    const error = asPinfsError(thrown);
    if (log.opening.signal.aborted || (error.exit !== 4 && error.exit !== 5)) throw thrown;
    log.how.gap(revision, error);
    return tagged && stepOfTag(tagged);
  }
}

function olderThan(step: Step, revision: number): Step | undefined {
  return step.revision < revision ? step : undefined;
}

function stepOfTag({ hash, revision, published, size, names }: Tagged): Step | undefined {
  const parsed = parseHash(hash);
  if (parsed === undefined) return undefined;
  const root = rootWant(parsed, size);
  return { root, revision, rootHash: hash, published, tags: names, previous: undefined };
}

/** Those revisions that changed something at a path. */
async function* changesAt(log: Log, root: Want, path: ByteString): AsyncGenerator<Step> {
  let newer: (Step & { readonly snapshot: OpenedRoot }) | undefined;
  try {
    for await (const step of walkBack(log, root)) {
      const snapshot = await openOrGap(log, step);
      if (snapshot === undefined) continue;
      if (newer === undefined) await refuseMissing(snapshot, path);
      else if ((await firstChange(snapshot, newer.snapshot, path)) !== undefined)
        yield { ...newer, previous: step.revision };
      newer?.snapshot.close();
      newer = { ...step, snapshot };
    }
    if (newer !== undefined && (await hasPath(newer.snapshot, path)))
      yield { ...newer, previous: undefined };
  } finally {
    newer?.snapshot.close();
  }
}

/** Undefined: its root catalog can't be had, as was told. */
async function openOrGap(log: Log, { root, revision }: Step): Promise<OpenedRoot | undefined> {
  try {
    const tree = await openRoot(log.opening, root, log.opening.signal);
    const { store, signal } = log.opening;
    const run: Reached['run'] = (operation) => runOperation(operation, store, { signal });
    return { tree, run, close: () => tree.close() };
  } catch (thrown) {
    const error = asPinfsError(thrown);
    if (log.opening.signal.aborted || (error.exit !== 4 && error.exit !== 5)) throw thrown;
    log.how.gap(revision + 1, error);
    return undefined;
  }
}

interface OpenedRoot extends Reached {
  close(): void;
}

async function hasPath({ tree, run }: OpenedRoot, path: ByteString): Promise<boolean> {
  return (await run(() => tree.resolve(path))).kind === 'done';
}

/** @throws PinfsError NOT_FOUND */
async function refuseMissing(snapshot: OpenedRoot, path: ByteString): Promise<void> {
  await valueOf(snapshot, path, () => snapshot.tree.resolve(path));
}
