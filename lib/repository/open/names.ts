import { PinfsError } from '../../format/errors.js';
import { parseHash, type ContentHash } from '../../format/hash.js';
import type { Manifest } from '../../format/manifest.js';
import type { Want } from '../../store/want.js';
import { tagByDate, tagByName, type HistoryTags } from '../../tree/history.js';
import type { RootProperties } from '../../tree/tree.js';
import { manifestRoot, rootWant } from './head.js';
import { readHistory, resolvedTag, type ResolvedTag } from './history.js';
import type { Opening } from './opening.js';
import type { NamePin } from './pin.js';
import { keptJudgement } from './pinned.js';
import { openRoot } from './root-tree.js';

/** A head that was verified: what names are looked up in. */
export interface NamedIn {
  readonly root: Want;
  readonly revision: number;
  readonly history: ContentHash | undefined;
}

export function namedInHead(manifest: Manifest): NamedIn {
  const { revision, history } = manifest;
  return { root: manifestRoot(manifest), revision, history };
}

/** Revisions before the head among which a shortened hash is looked for: each costs a root catalog. */
const chainMax = 256;

/**
 * What a name means: a tag; the head, or a revision so many before it; the newest tag at or before a date; the
 * revision whose root hash begins so, among those that a signature vouches for.
 * @throws PinfsError HISTORY_*, TAG_UNKNOWN, DATE_TOO_EARLY, TAG_HASH_MALFORMED, REVISION_UNKNOWN, HASH_AMBIGUOUS.
 */
export async function findNamed(
  opening: Opening,
  line: NamedIn,
  pin: NamePin,
  signal: AbortSignal,
): Promise<ResolvedTag> {
  const { text, date, back, short } = pin;
  const needsNone = back !== undefined || short !== undefined;
  const tags: HistoryTags =
    line.history === undefined && needsNone
      ? { fqrn: opening.fqrn, tags: [] }
      : await readHistory(opening, line.history, signal);
  if (tags.tags.some(({ name }) => name === text)) return resolvedTag(tagByName(tags, text));
  if (back !== undefined) return await revisionBefore(opening, line, pin, back, signal);
  if (date !== undefined) return resolvedTag(tagByDate(tags, date.seconds));
  const shortened =
    short === undefined
      ? undefined
      : (known(opening, tags, short) ?? (await inChain(opening, line, short, signal)));
  return shortened ?? resolvedTag(tagByName(tags, text));
}

/** @throws PinfsError REVISION_UNKNOWN */
async function revisionBefore(
  opening: Opening,
  line: NamedIn,
  { text }: NamePin,
  back: number,
  signal: AbortSignal,
): Promise<ResolvedTag> {
  let root = line.root;
  let properties = await rootProperties(opening, root, signal);
  for (let step = 1; step <= back; step++) {
    const previous = previousRoot(properties);
    if (previous === undefined) {
      throw new PinfsError(
        'REVISION_UNKNOWN',
        `${text}: revision ${properties.revision}, ${step - 1} before the head, names none before it`,
      );
    }
    root = previous;
    properties = await before(opening, root, text, properties.revision, signal);
  }
  return revisionOf(root, properties, text);
}

/** A revision that may be gone from the source. @throws PinfsError REVISION_UNKNOWN */
async function before(
  opening: Opening,
  root: Want,
  text: string,
  revision: number,
  signal: AbortSignal,
): Promise<RootProperties> {
  try {
    return await rootProperties(opening, root, signal);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError) || thrown.code !== 'OBJECT_MISSING') throw thrown;
    const message = `${text}: the source does not have the revision before ${revision} any more`;
    throw new PinfsError('REVISION_UNKNOWN', message, { cause: thrown });
  }
}

function revisionOf(root: Want, properties: RootProperties, name: string): ResolvedTag {
  return {
    name,
    isUntagged: true,
    hash: root.object.hash,
    revision: properties.revision,
    timestamp: properties.lastModified,
    size: undefined,
  };
}

/** The root catalog of the revision before, as its own says; undefined: it was the first one. */
export function previousRoot({ previousRevision }: RootProperties): Want | undefined {
  const hash = previousRevision === undefined ? undefined : parseHash(previousRevision);
  return hash && rootWant(hash, undefined);
}

/** What a root catalog says of itself. @throws PinfsError OBJECT_*, CATALOG_*, SOURCE_*. */
async function rootProperties(
  opening: Opening,
  root: Want,
  signal: AbortSignal,
): Promise<RootProperties> {
  const tree = await openRoot(opening, root, signal);
  tree.close();
  return tree.properties;
}

/**
 * The revision whose root hash begins so among tags and what was verified here.
 * @throws PinfsError HASH_AMBIGUOUS
 */
function known(opening: Opening, { tags }: HistoryTags, short: string): ResolvedTag | undefined {
  const found = new Map<string, ResolvedTag>();
  const note = (revision: ResolvedTag): void => {
    const { text } = revision.hash;
    if (text.startsWith(short) && !found.has(text)) found.set(text, revision);
  };
  for (const tag of tags) if (tag.hash.startsWith(short)) note(resolvedTag(tag));
  for (const revision of seenRevisions(opening, short)) note(revision);
  if (found.size > 1) {
    const hashes = [...found.keys()].slice(0, 5).join(', ');
    throw new PinfsError('HASH_AMBIGUOUS', `${short} begins several root hashes: ${hashes}`, {
      advice: 'Give more digits.',
    });
  }
  const [only] = found.values();
  return only;
}

/** Heads and tags that were verified here, by keys that count now, and still are where evidence was kept. */
function seenRevisions(opening: Opening, short: string): ResolvedTag[] {
  const seen = opening.seen.get(opening.fqrn);
  const tags = [...(seen?.tags.values() ?? [])].map(
    ({ rootHash, revision, rootSize, verdict }) => ({
      rootHash,
      revision,
      size: rootSize,
      published: Date.parse(verdict.published ?? '') / 1000,
    }),
  );
  const heads = opening.seen
    .roots(opening.fqrn)
    .filter((hash) => hash.startsWith(short))
    .flatMap((rootHash) => {
      const hash = parseHash(rootHash);
      const judged = hash && keptJudgement(opening, hash);
      const manifest = judged?.failure === undefined ? judged?.manifest : undefined;
      if (manifest?.rootHash.text !== rootHash) return [];
      const { revision, published, rootSize } = manifest;
      return [{ rootHash, revision, size: rootSize, published }];
    });
  return [...tags, ...heads].flatMap(({ rootHash, revision, size, published }) => {
    const hash = parseHash(rootHash);
    if (hash === undefined) return [];
    const timestamp = Number.isFinite(published) ? published : 0;
    return [{ name: short, isUntagged: true, hash, revision, timestamp, size }];
  });
}

/** The same among the revisions before the head, newest first; undefined: none of those that can be had. */
async function inChain(
  opening: Opening,
  line: NamedIn,
  short: string,
  signal: AbortSignal,
): Promise<ResolvedTag | undefined> {
  let root: Want | undefined = line.root;
  for (let count = 0; root !== undefined && count < chainMax; count++) {
    const isIt = root.object.hash.text.startsWith(short);
    try {
      const properties = await rootProperties(opening, root, signal);
      if (isIt) return revisionOf(root, properties, short);
      root = previousRoot(properties);
    } catch (thrown) {
      if (isIt || !(thrown instanceof PinfsError) || thrown.code !== 'OBJECT_MISSING') throw thrown;
      return undefined;
    }
  }
  return undefined;
}
