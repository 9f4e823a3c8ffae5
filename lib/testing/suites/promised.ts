import { createHash } from 'node:crypto';
import { asPinfsError, type ErrorCode } from '../../format/errors.js';
import type { ByteString } from '../../format/bytes.js';
import { list, readRange, valueOf, walk } from '../../repository/use/path.js';
import type { Repository } from '../../repository/repository.js';
import {
  bind,
  directory,
  file,
  makeRepository,
  nested,
  symlink,
  type MadeRevision,
  type RevisionSpec,
} from '../../publish/write-repository.js';

/* A repository with each kind of object, and all that can be seen of one, for tests of promises. */

const noise = Buffer.from(Array.from({ length: 30_000 }, (_, at) => (at * at * 7 + at) % 251));

const revisions: RevisionSpec[] = [
  {
    tree: {
      file: file('one'),
      old: nested({ inside: file('of the first revision'), deep: nested({ leaf: file('leaf') }) }),
    },
    tags: { v1: 'the first' },
  },
  {
    tree: {
      file: file('two', { xattrs: { 'user.note': 'x' } }),
      plain: file(noise.subarray(0, 9000), { compression: 'none' }),
      chunked: file(noise, { chunks: [7000, 9000] }),
      one: file('linked', { linkGroup: 1 }),
      two: file('linked', { linkGroup: 1 }),
      link: symlink('dir/$(CVMFS_ARCH:-none)/$(UNSET:-default)'),
      dir: directory({ sub: nested({ inside: file('inside') }) }),
      bound: bind(1),
    },
    tags: { v2: 'the second' },
  },
];

const made = makeRepository({ revisions });
const [first, second] = made.revisions as [MadeRevision, MadeRevision];

export const promised = { revisions, made, first, second };

/** What there is at a path, or why it could not be seen. */
export interface SeenEntry {
  readonly facts: string;
  readonly failed: ErrorCode | undefined;
}

export type SeenTree = ReadonlyMap<ByteString, SeenEntry>;

/** Everything that can be seen of a repository by reading all of it. */
export async function treeOf(repository: Repository): Promise<SeenTree> {
  const found = new Map<ByteString, SeenEntry>();
  const pending: ByteString[] = [''];
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    try {
      const { facts, below } = await look(repository, path);
      found.set(path, { facts, failed: undefined });
      pending.push(...below);
    } catch (thrown) {
      found.set(path, { facts: '', failed: asPinfsError(thrown).code });
    }
  }
  return found;
}

async function look(
  repository: Repository,
  path: ByteString,
): Promise<{ facts: string; below: ByteString[] }> {
  const { filesystem } = repository;
  const it = await walk(repository, path, false);
  const entry = it;
  const facts: unknown[] = [entry.type, it.mode, it.uid, it.gid, it.size, it.nlink, it.mtime];
  facts.push(it.ino.toString(), entry.rawTarget, entry.target);
  for (const [name, value] of entry.xattrs ?? []) facts.push(name, value.toString('hex'));
  const below: ByteString[] = [];
  if (entry.type === 'directory') {
    for await (const child of list(repository, it)) below.push(child.path);
    facts.push(...below);
  } else if (entry.type === 'file') {
    const digest = createHash('sha256');
    for await (const piece of readRange(repository, it)) digest.update(piece);
    facts.push(digest.digest('hex'));
  } else await valueOf(repository, path, () => filesystem.readlink(it.node));
  return { facts: JSON.stringify(facts), below };
}

/** What of a tree is another than in the true one, and what could not be seen. */
export function sameTree(
  seen: SeenTree,
  truth: SeenTree,
): { readonly wrong: ByteString[]; readonly failed: ByteString[] } {
  const paths = [...seen.keys()];
  const failed = paths.filter((path) => seen.get(path)?.failed !== undefined);
  const wrong = paths.filter(
    (path) => !failed.includes(path) && seen.get(path)?.facts !== truth.get(path)?.facts,
  );
  return { wrong, failed };
}
