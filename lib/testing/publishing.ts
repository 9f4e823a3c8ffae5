import { createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ByteString } from '../format/bytes.js';
import type { HashAlgorithm } from '../format/hash.js';
import { testCertificate } from '../publish/keys.js';
import type { InputEntry } from '../publish/input/entry.js';
import { makeObjectWriter } from '../publish/objects/writer.js';
import type { ObjectWriter } from '../publish/objects/content.js';
import type { Publication } from '../publish/revision/commit.js';
import {
  publishRevision,
  type RevisionReport,
  type RevisionRequest,
} from '../publish/revision/publish.js';
import { openStoredDatabase, rows } from '../publish/read-back.js';
import type { DirectorySpec, EntrySpec, TreeSpec } from '../publish/spec.js';
import { openStorage } from '../publish/storage/open.js';
import type { Storage } from '../publish/storage/storage.js';
import { makeRepository } from '../publish/write-repository.js';
import { openRepository } from '../repository/open.js';
import type { Repository } from '../repository/repository.js';
import { list, readRange, walk } from '../repository/use/path.js';

interface Ending {
  teardown(clean: () => unknown): unknown;
}

export type PublishChange = Partial<Omit<RevisionRequest, keyof Publication | 'inputs'>> & {
  /** What is at `at` afterwards. */
  readonly tree?: TreeSpec;
  readonly root?: Omit<DirectorySpec, 'type' | 'entries'>;
  readonly time?: number;
  /** In place of the scene's own. */
  readonly storage?: Storage;
};

/** A repository in a directory to which a test publishes, and which it opens. */
export interface PublishingScene {
  /** Where clients find it. */
  readonly directory: string;
  readonly storage: Storage;
  readonly publication: Publication;
  /** A day passes between two revisions. */
  publish(change: PublishChange): Promise<RevisionReport>;
  open(pin?: string): Promise<Repository>;
}

export const publishedName = 'published.example.org';
const firstDay = Date.UTC(2021, 0, 1) / 1000;

/** An empty repository of one revision; all is gone at the end of the test. */
export async function openPublishing(
  t: Ending,
  options: { readonly algorithm?: HashAlgorithm; readonly threads?: number } = {},
): Promise<PublishingScene> {
  const { algorithm = 'sha1', threads = 1 } = options;
  const work = mkdtempSync(join(tmpdir(), 'pinfs-publishing-'));
  const revisions = [{ tree: {}, time: firstDay }];
  const made = makeRepository({ fqrn: publishedName, algorithm, revisions });
  const directory = made.writeTo(work);
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const storage = await openStorage(directory);
  const chunkSizes = { min: 64, average: 128, max: 256 };
  const settings = { algorithm, compression: 'zlib', chunkSizes, threads } as const;
  const startWriter = (target: Storage) => ({
    storage: target,
    writer: makeObjectWriter(target, settings),
  });
  const { writer } = startWriter(storage);
  const open: Repository[] = [];
  t.teardown(async () => {
    for (const one of open) await one.close();
    await writer.close();
    await storage.close();
    rmSync(work, { recursive: true, force: true });
  });
  let time = firstDay;
  const publication = {
    fqrn: publishedName,
    storage,
    writer,
    key: createPrivateKey(testCertificate.privateKey),
    time,
  };
  return {
    directory,
    storage,
    publication,
    async publish({ tree, root = {}, storage: other, ...change }) {
      time += 86_400;
      const whole = { type: 'directory', entries: tree ?? {}, ...root } as const;
      const own = other === undefined ? publication : { ...publication, ...startWriter(other) };
      try {
        return await publishRevision({
          ...own,
          time,
          inputs: tree === undefined ? [] : [entriesOf(whole, own.writer)],
          at: '',
          deletes: [],
          mtimeNs: true,
          crossDirectoryLinks: false,
          keepGoing: false,
          ...change,
        });
      } finally {
        if (other !== undefined) await own.writer.close();
      }
    },
    async open(pin) {
      const source = directory + (pin === undefined ? '' : `@${pin}`);
      const given = { source, keys: [key], cache: join(work, `cache${open.length}`) };
      const environment = { variables: { HOME: work }, now: () => new Date(time * 1000) };
      const opened = await openRepository(given, environment);
      open.push(opened);
      return opened;
    },
  };
}

/** A made tree as a publisher reads it, its content stored. */
async function* entriesOf(
  root: DirectorySpec,
  writer: ObjectWriter,
  path: ByteString = '',
): AsyncGenerator<InputEntry> {
  yield entryOf(path, root, 4096);
  for (const [name, spec] of Object.entries(root.entries)) {
    const below = `${path}/${name}`;
    if (spec.type === 'directory') yield* entriesOf(spec, writer, below);
    else if (spec.type === 'file') {
      const bytes = Buffer.from(spec.content);
      yield { ...entryOf(below, spec, bytes.length), stored: await writer.store({ bytes }) };
    } else yield entryOf(below, spec, 0);
  }
}

function entryOf(path: ByteString, spec: EntrySpec, size: number): InputEntry {
  if (spec.type === 'bind') throw new Error('nothing is published into an earlier revision');
  const { linkGroup, xattrs, mode, uid = 0, gid = 0, mtime = firstDay, mtimeNs = 0 } = spec;
  const values = Object.entries(xattrs ?? {}).map(
    ([key, value]) => [key, Buffer.from(value)] as const,
  );
  return {
    path,
    type: spec.type,
    mode: mode ?? (spec.type === 'directory' ? 0o755 : spec.type === 'symlink' ? 0o777 : 0o644),
    uid,
    gid,
    mtime,
    mtimeNs,
    size,
    rdev: 'rdev' in spec ? (spec.rdev ?? 0) : 0,
    ...(spec.type === 'symlink' ? { target: spec.target } : {}),
    ...(linkGroup === undefined ? {} : { linkKey: `group ${linkGroup}` }),
    ...(values.length === 0 ? {} : { xattrs: new Map(values) }),
  };
}

/** What a snapshot shows of each path, as lines that can be compared. */
export async function shownTree(repository: Repository): Promise<Record<string, string>> {
  const shown: Record<string, string> = {};
  const names = new Map<bigint, string>();
  const visit = async (path: ByteString): Promise<void> => {
    const entry = await walk(repository, path || '/', false);
    const pieces: Buffer[] = [];
    if (entry.type === 'file')
      for await (const piece of readRange(repository, entry)) pieces.push(piece);
    const first = names.get(entry.ino) ?? path;
    if (entry.type !== 'directory') names.set(entry.ino, first);
    const xattrs = [...(entry.xattrs ?? [])].map(
      ([key, value]) => `${key}=${value.toString('hex')}`,
    );
    shown[path || '/'] = [
      entry.type,
      (entry.mode & 0o7777).toString(8),
      `${entry.uid}:${entry.gid}`,
      `${entry.mtime}.${entry.mtimeNs}`,
      `nlink ${entry.nlink}`,
      entry.rdev,
      entry.rawTarget,
      Buffer.concat(pieces).toString('latin1'),
      first,
      xattrs.join(),
    ].join(' | ');
    if (entry.type !== 'directory') return;
    const children: ByteString[] = [];
    for await (const child of list(repository, entry)) children.push(child.path);
    for (const child of children.sort()) await visit(child);
  };
  await visit('');
  return shown;
}

/** The bytes of a file of a storage that is a directory. */
export function storedFile(scene: PublishingScene, path: string): Buffer {
  return readFileSync(join(scene.directory, path));
}

/** What stands in each catalog below a root besides its rows. */
export function catalogsOf(
  scene: PublishingScene,
  root: string,
): Map<ByteString, { hash: string; properties: Record<string, unknown>; counters: unknown }> {
  const found: ReturnType<typeof catalogsOf> = new Map();
  const open = [{ path: '', sha1: root }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const db = openStoredDatabase((path) => storedFile(scene, path), 'catalog', next.sha1);
    open.push(...(rows(db, 'SELECT path, sha1 FROM nested_catalogs') as typeof open));
    const pairs = rows(db, 'SELECT key, value FROM properties').map(({ key, value }) => [
      key,
      value,
    ]);
    found.set(next.path, {
      hash: next.sha1,
      properties: Object.fromEntries(pairs) as Record<string, unknown>,
      counters: rows(db, 'SELECT counter, value FROM statistics ORDER BY counter'),
    });
    db.close();
  }
  return found;
}
