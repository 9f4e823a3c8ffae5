import { createHash, type KeyObject } from 'node:crypto';
import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fromText, printable, type ByteString } from '../format/bytes.js';
import type { Compression } from '../format/compression.js';
import { PinfsError } from '../format/errors.js';
import type { HashAlgorithm } from '../format/hash.js';
import { isName } from '../format/catalog-row.js';
import type { InputAmount } from './input/amount.js';
import type { InputEntry } from './input/entry.js';
import { readInput } from './input/read.js';
import { openInputState, type InputState } from './input/state.js';
import type { TreeChange } from './catalogs/changes.js';
import { dirtabFile } from './catalogs/dirtab.js';
import {
  defaultChunkSizes,
  type ChunkSizes,
  type ContentOptions,
  type WriterCounts,
} from './objects/content.js';
import { identityOf } from './objects/job.js';
import { makeObjectWriter } from './objects/writer.js';
import type { Publication } from './revision/commit.js';
import { hashAlgorithmOf, readHead } from './revision/head.js';
import { publishRevision, rollBack, type RevisionReport } from './revision/publish.js';
import { removeTags, tagRevision } from './revision/tags.js';
import type { HistoryTag } from '../tree/history.js';
import { openStorage } from './storage/open.js';
import type { Storage } from './storage/storage.js';

/** Where a repository lies, and what signs it. */
export interface PublishPlace {
  readonly fqrn: string;
  /** A directory, or `s3://bucket/prefix`. */
  readonly storage: string;
  /** The secret key of the certificate that signs the repository. */
  readonly key: KeyObject;
  /** Of the new revision (seconds since 1970; default: now). */
  readonly time?: number | undefined;
}

/** What a new revision is to be. */
export interface PublishOptions extends PublishPlace {
  /** Directories and archives; `-` is an archive from the standard input. Together they become what is at `at`. */
  readonly from?: readonly string[];
  /** Path in the repository (default: its root). */
  readonly at?: string | undefined;
  /** Paths in the repository that are to be no more. */
  readonly deletes?: readonly string[];
  readonly tag?: { readonly name: string; readonly message: string } | undefined;
  readonly compression?: Compression | undefined;
  /** Default: that of the repository. */
  readonly algorithm?: HashAlgorithm | undefined;
  /** Undefined: those of the reference; `off`: no file is chunked. */
  readonly chunkSizes?: ChunkSizes | 'off' | undefined;
  readonly wholeFileHash?: boolean | undefined;
  readonly external?: boolean | undefined;
  readonly mtimeNs?: boolean | undefined;
  readonly crossDirectoryLinks?: boolean | undefined;
  readonly keepGoing?: boolean | undefined;
  readonly threads?: number | undefined;
  /** All files are read, also those that look as they did. */
  readonly checksum?: boolean | undefined;
  /** Directory of what was seen of source trees, so that only what changed is read; undefined: all is read. */
  readonly stateDirectory?: string | undefined;
  /** Nothing is published; who asks is told what would be different. */
  readonly dryRun?: ((change: TreeChange) => void) | undefined;
  /** Told of what is done of the input, whether it had to be read or not. */
  readonly progress?: ((done: InputAmount) => void) | undefined;
}

export interface PublishReport extends RevisionReport {
  readonly counts: WriterCounts;
}

const progressMs = 200;

/**
 * Publishes a new revision of a repository. Who publishes at the same time is waited for, or refused.
 * @throws PinfsError
 */
export async function publish(options: PublishOptions): Promise<PublishReport> {
  const at = repositoryPath(options.at ?? '/');
  const deletes = (options.deletes ?? []).map(repositoryPath);
  const { from = [], keepGoing = false, progress, dryRun } = options;
  return withPublication(options, options, async (publication, settings) => {
    const { writer, storage, fqrn } = publication;
    const done = { entries: 0, bytes: 0 };
    const tell = (): void => {
      progress?.({ entries: done.entries, bytes: done.bytes + writer.counts.packedBytes });
    };
    const states: (InputState | undefined)[] = [];
    const timer = setInterval(tell, progressMs);
    try {
      for (const one of from)
        states.push(stateOf(options, settings, [storage.name, fqrn, at, one]));
      const revision = (await readHead(storage, fqrn)).manifest.rootHash.text;
      const catalogs: ByteString[] = [];
      const asked = (path: ByteString): void => {
        if (path.startsWith(`${at}/`)) catalogs.push(path.slice(at.length));
      };
      const rules = at === '' ? from.map(dirtabIdentity).join() : '';
      const inputOf = (one: string, index: number) => {
        const state = states[index];
        // What was laid over it, or taken out, was not of this directory alone.
        const isAlone = from.length === 1 && deletes.length === 0;
        return readInput(one, {
          writer,
          keepGoing,
          xattrs: true,
          revision,
          ...(state === undefined ? {} : { state }),
          skipsCatalogs: isAlone && state?.rules === rules,
        });
      };
      const report = await publishRevision({
        ...publication,
        inputs: from.map((one, index) => counted(inputOf(one, index), done)),
        at,
        deletes,
        tag: options.tag,
        mtimeNs: options.mtimeNs ?? false,
        crossDirectoryLinks: options.crossDirectoryLinks ?? false,
        keepGoing,
        asked,
        ...(dryRun === undefined ? {} : { dryRun }),
      });
      const nesting = { catalogs, rules };
      if (dryRun === undefined)
        for (const state of states) state?.commit(report.rootHash.text, nesting);
      tell();
      return { ...report, counts: { ...writer.counts } };
    } finally {
      clearInterval(timer);
      for (const state of states) state?.drop();
    }
  });
}

/** Counts entries, and the content that need not be read; what is read, its writer counts. */
async function* counted(
  entries: AsyncIterable<InputEntry>,
  done: { entries: number; bytes: number },
): AsyncGenerator<InputEntry> {
  for await (const entry of entries) {
    done.entries += entry.unchanged?.entries ?? 1;
    done.bytes += entry.unchanged?.bytes ?? (entry.isKnown === true ? entry.size : 0);
    yield entry;
  }
}

/** What was seen of a directory when it was last published to the same place. */
function stateOf(
  { stateDirectory, checksum = false, ...options }: PublishOptions,
  settings: ContentOptions,
  place: readonly string[],
): InputState | undefined {
  const from = place.at(-1) ?? '-';
  if (stateDirectory === undefined || from === '-') return undefined;
  if (statSync(from, { throwIfNoEntry: false })?.isDirectory() !== true) return undefined;
  const { mtimeNs = false, crossDirectoryLinks = false } = options;
  const text = JSON.stringify([...place.slice(0, -1), resolve(from), mtimeNs, crossDirectoryLinks]);
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const name = createHash('sha256').update(text).digest('hex').slice(0, 32);
  return openInputState(join(stateDirectory, name), settings, text, { isBlind: checksum });
}

/** Tells one state of a `.cvmfsdirtab` in the root of a tree from another. */
function dirtabIdentity(from: string): string {
  try {
    return identityOf(lstatSync(join(from, dirtabFile), { bigint: true }));
  } catch {
    return '';
  }
}

/** Publishes the tree that a tag names as a new revision. @throws PinfsError */
export async function rollBackTo(place: PublishPlace, tag: string): Promise<RevisionReport> {
  return withPublication(place, {}, (publication) => rollBack(publication, tag));
}

/** Names the newest revision, or another one by its root hash. @throws PinfsError */
export async function addRepositoryTag(
  place: PublishPlace,
  tag: { readonly name: string; readonly message: string; readonly hash?: string | undefined },
): Promise<HistoryTag> {
  return withPublication(place, {}, (publication) => tagRevision(publication, tag));
}

/** Takes names away. @throws PinfsError */
export async function removeRepositoryTags(
  place: PublishPlace,
  names: readonly string[],
): Promise<void> {
  await withPublication(place, {}, (publication) => removeTags(publication, names));
}

/** The tags of a repository, newest first. @throws PinfsError */
export async function listRepositoryTags(place: string, fqrn: string): Promise<HistoryTag[]> {
  const storage = await openStorage(place);
  try {
    const { history } = await readHead(storage, fqrn);
    return [...history.tags].sort(
      (a, b) => b.timestamp - a.timestamp || b.revision - a.revision || (a.name < b.name ? -1 : 1),
    );
  } finally {
    await storage.close();
  }
}

type ContentChoice = Pick<
  PublishOptions,
  'compression' | 'algorithm' | 'chunkSizes' | 'wholeFileHash' | 'external' | 'threads' | 'dryRun'
>;

/** Opens and locks the storage, and starts what makes objects. */
async function withPublication<T>(
  { fqrn, storage: place, key, time = Math.floor(Date.now() / 1000) }: PublishPlace,
  choice: ContentChoice,
  body: (publication: Publication, settings: ContentOptions) => Promise<T>,
): Promise<T> {
  const opened = await openStorage(place);
  const storage = choice.dryRun === undefined ? opened : forgetful(opened);
  try {
    const release = await storage.lock();
    try {
      const { threads } = choice;
      const settings = await contentSettings(storage, fqrn, choice);
      const own = threads === undefined ? {} : { threads };
      const writer = makeObjectWriter(storage, { ...settings, ...own });
      return await body({ fqrn, storage, writer, key, time }, settings).finally(() =>
        writer.close(),
      );
    } finally {
      await release();
    }
  } finally {
    await storage.close();
  }
}

async function contentSettings(
  storage: Storage,
  fqrn: string,
  choice: ContentChoice,
): Promise<ContentOptions> {
  const { compression = 'zlib', chunkSizes = defaultChunkSizes } = choice;
  return {
    algorithm: choice.algorithm ?? (await hashAlgorithmOf(storage, fqrn)),
    compression,
    chunkSizes: chunkSizes === 'off' ? undefined : chunkSizes,
    wholeFileHash: choice.wholeFileHash ?? false,
    external: choice.external ?? false,
  };
}

// Of a dry run: what it reads again, such as a `.cvmfsdirtab`, is small.
const keptBytesMax = 2 ** 18;

/** A storage to which nothing is written; small new objects are there until it is closed. */
function forgetful(storage: Storage): Storage {
  const kept = new Map<string, Buffer>();
  return {
    ...storage,
    folder: undefined,
    async read(path, limit) {
      const bytes = kept.get(path);
      return bytes === undefined ? storage.read(path, limit) : { bytes, version: '' };
    },
    write(path, content) {
      if (Buffer.isBuffer(content) && content.length < 1024 && kept.size < keptBytesMax / 1024)
        kept.set(path, content);
      return Promise.resolve('written');
    },
  };
}

/** A path in a repository as a user gives it: '' for its root, else '/a/b'. @throws PinfsError USAGE */
function repositoryPath(text: string): ByteString {
  const names = fromText(text)
    .split('/')
    .filter((name) => name !== '' && name !== '.');
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined)
    throw new PinfsError('USAGE', `${printable(fromText(text))} is no path in a repository`);
  return names.map((name) => `/${name}`).join('');
}
