/** Repositories that are dear to make: kept in a directory from one run to the next. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { toBytes } from '../lib/format/bytes.js';
import { pack } from '../lib/format/compression.js';
import { hashBytes, objectPath } from '../lib/format/hash.js';
import {
  makeRepository,
  writeFiles,
  type FileSpec,
  type TreeSpec,
} from '../lib/publish/write-repository.js';
import { treeSpec, treesVersion, type TreeName } from './made-trees.js';

/** A regular file of the tree. */
export interface KeptFile {
  /** Relative to the root. */
  readonly path: string;
  readonly size: number;
  /** Its objects below the repository's URL, in order. */
  readonly objects: readonly string[];
}

export interface KeptFacts {
  readonly version: number;
  readonly fqrn: string;
  readonly tag: string;
  readonly rootHash: string;
  readonly directories: number;
  readonly catalogs: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
  readonly files: readonly KeptFile[];
  /** All objects a reader of the whole tree needs: content and catalogs. */
  readonly objects: readonly string[];
}

export interface Kept extends KeptFacts {
  /** Document root of a server: the repository lies below it by its name. */
  readonly served: string;
  /** PEM of the master key. */
  readonly key: string;
  /** The same tree on the local disk. */
  readonly local: string;
}

const tag = 'bench';

export interface KeptPlace {
  /** Where repositories are kept: best a tmpfs, since a server reads from it. */
  readonly trees: string;
  /** Where their copies lie: the local disk. */
  readonly work: string;
  readonly small: boolean;
}

/** The tree of that name: what an earlier run left there, or made now. */
export function keptTree(name: TreeName, { trees, work, small }: KeptPlace): Kept {
  const folder = small ? `${name}-small` : name;
  const place = join(trees, folder);
  const local = join(work, 'local', folder);
  const of = (facts: KeptFacts): Kept => ({
    ...facts,
    served: join(place, 'served'),
    key: join(place, 'master.pub'),
    local: join(local, 'root'),
  });
  const before = readFacts(join(place, 'facts.json'));
  const copied = existsSync(join(local, 'made')) ? readFileSync(join(local, 'made'), 'utf8') : '';
  if (before !== undefined && copied === before.rootHash) return of(before);
  const tree = treeSpec(name, small);
  const facts = before ?? publishTree(place, `${folder}.bench.example.org`, tree);
  rmSync(local, { recursive: true, force: true });
  writeTree(join(local, 'root'), tree);
  writeFileSync(join(local, 'made'), facts.rootHash);
  return of(facts);
}

function readFacts(path: string): KeptFacts | undefined {
  if (!existsSync(path)) return undefined;
  const facts = JSON.parse(readFileSync(path, 'utf8')) as KeptFacts;
  return facts.version === treesVersion ? facts : undefined;
}

/** Writes the repository, its key and its facts below `place`; the facts last, since they say that it is whole. */
function publishTree(place: string, fqrn: string, tree: TreeSpec): KeptFacts {
  rmSync(place, { recursive: true, force: true });
  const made = makeRepository({ fqrn, revisions: [{ tree, tags: { [tag]: '' } }] });
  writeFiles(join(place, 'served', fqrn), made.files);
  writeFileSync(join(place, 'master.pub'), made.masterKey);
  const files = [...filesOf(tree)];
  const catalogs = [...made.head.catalogs.values()];
  const objects = [
    ...catalogs.map(({ hash }) => objectPath({ hash, kind: 'catalog' })),
    ...files.flatMap((one) => one.objects),
  ];
  const distinct = [...new Set(objects)];
  const facts: KeptFacts = {
    version: treesVersion,
    fqrn,
    tag,
    rootHash: made.head.rootHash.text,
    directories: directoriesOf(tree),
    catalogs: catalogs.length,
    plainBytes: files.reduce((sum, { size }) => sum + size, 0),
    storedBytes: distinct.reduce((sum, path) => sum + (made.files.get(path)?.length ?? 0), 0),
    files,
    objects: distinct,
  };
  for (const path of distinct) if (!made.files.has(path)) throw new Error(`${path} was not made`);
  writeFileSync(join(place, 'facts.new'), JSON.stringify(facts));
  renameSync(join(place, 'facts.new'), join(place, 'facts.json'));
  return facts;
}

function directoriesOf(tree: TreeSpec): number {
  let count = 1;
  for (const entry of Object.values(tree)) {
    if (entry.type === 'directory') count += directoriesOf(entry.entries);
  }
  return count;
}

function* filesOf(tree: TreeSpec, prefix = ''): Generator<KeptFile> {
  for (const [name, entry] of Object.entries(tree)) {
    const path = prefix + name;
    if (entry.type === 'directory') yield* filesOf(entry.entries, `${path}/`);
    else if (entry.type === 'file') {
      yield { path, size: Buffer.byteLength(entry.content), objects: objectsOf(entry) };
    }
  }
}

function objectsOf({ content, compression = 'zlib', chunks }: FileSpec): string[] {
  const bytes = Buffer.from(content);
  const path = (kind: 'data' | 'chunk', plain: Buffer): string =>
    objectPath({ hash: hashBytes('sha1', pack(plain, compression)), kind });
  if (chunks === undefined) return [path('data', bytes)];
  const paths: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = chunks[Math.min(paths.length, chunks.length - 1)] ?? bytes.length;
    paths.push(path('chunk', bytes.subarray(at, at + size)));
    at += size;
  }
  return paths;
}

/** The tree as files of the local disk. */
export function writeTree(target: string, tree: TreeSpec): void {
  mkdirSync(target, { recursive: true });
  for (const [name, entry] of Object.entries(tree)) {
    const path = join(target, name);
    if (entry.type === 'directory') writeTree(path, entry.entries);
    else if (entry.type === 'file')
      writeFileSync(path, entry.content, { mode: entry.mode ?? 0o644 });
    else if (entry.type === 'symlink') symlinkSync(toBytes(entry.target), path);
  }
}
