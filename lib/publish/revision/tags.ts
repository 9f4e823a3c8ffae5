import type { HistoryTag } from '../../tree/history.js';
import { PinfsError } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import { readBase } from '../catalogs/base-catalog.js';
import { commitHead, type Publication } from './commit.js';
import { readHead, type Head } from './head.js';
import { addTag, removeTag, type History, type TaggedRoot } from './history.js';
import { readObject } from './read-objects.js';

/** Gives a name to the newest revision, or to another one by its root hash. @throws PinfsError TAG_REFUSED */
export async function tagRevision(
  publication: Publication,
  tag: { readonly name: string; readonly message: string; readonly hash?: string | undefined },
): Promise<HistoryTag> {
  const head = await readHead(publication.storage, publication.fqrn, publication.key);
  const root = await rootOf(publication, head, tag.hash);
  const history = addTag(head.history, tag.name, root, tag.message);
  if (history !== head.history) await commitTags(publication, head, history);
  const made = history.tags.find(({ name }) => name === tag.name);
  if (made === undefined) throw new Error(`the tag ${tag.name} was not made`);
  return made;
}

/** Takes a name away; it can't come again for another snapshot. @throws PinfsError TAG_REFUSED, TAG_UNKNOWN */
export async function removeTags(
  publication: Publication,
  names: readonly string[],
): Promise<void> {
  const head = await readHead(publication.storage, publication.fqrn, publication.key);
  let { history } = head;
  for (const name of names) history = removeTag(history, name);
  await commitTags(publication, head, history);
}

async function commitTags(publication: Publication, head: Head, history: History): Promise<void> {
  const { rootHash, revision, published, rootSize } = head.manifest;
  const root = { hash: rootHash.text, revision, timestamp: published, size: rootSize ?? 0 };
  await commitHead(publication, head, { root, history });
}

async function rootOf(
  { storage }: Publication,
  { manifest }: Head,
  asked: string | undefined,
): Promise<TaggedRoot> {
  const hash = asked === undefined ? manifest.rootHash : parseHash(asked);
  if (hash === undefined) throw new PinfsError('USAGE', `${asked} is no root hash`);
  const read = () => readObject(storage, { kind: 'catalog', hash });
  const { revision, size, properties } = await readBase(read, { path: '', hash: hash.text });
  if (properties.has('root_prefix'))
    throw new PinfsError('TAG_REFUSED', `${hash.text} is not the catalog of a root`);
  const timestamp = Number(properties.get('last_modified') ?? manifest.published);
  return { hash: hash.text, revision, timestamp, size };
}
