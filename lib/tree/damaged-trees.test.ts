import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import t, { type Test } from 'tap';
import { fromText, type ByteString } from '../format/bytes.js';
import type { ErrorCode } from '../format/errors.js';
import { parseHash } from '../format/hash.js';
import { genuine, needsGenuine } from '../testing/genuine.js';
import {
  manifestLine,
  rootWant,
  storedIn,
  testShelf,
  type TestShelf,
} from '../testing/fakes/memory-shelf.js';
import type { Want } from '../store/want.js';
import { wantsForRange } from './content.js';
import { openHistory, rootHashOf, tagByName } from './history.js';
import { openTree } from './open-tree.js';
import type { Tree } from './tree.js';

interface DamagedCase {
  readonly name: string;
  readonly directory: string;
  readonly still_works?: readonly string[];
  readonly removed: readonly string[];
  readonly tag?: string;
  readonly reference: { readonly operations?: Readonly<Record<string, string>> };
}

const fqrn = 'damaged.example.org';
const options = { variables: {}, owner: { uid: 0, gid: 0 } };

function readCases(): Map<string, DamagedCase> {
  const file = readFileSync(genuine('damaged', 'cases.json'), 'utf8');
  const { cases } = JSON.parse(file) as { cases: DamagedCase[] };
  return new Map(cases.map((one) => [one.name, one]));
}

interface Opened {
  readonly shelf: TestShelf;
  /** The tree, or the code with which it was refused. */
  readonly tree: Tree | string;
  readonly line: (letter: string) => string | undefined;
}

function openCase(t: Test, one: DamagedCase): Opened {
  const directories = [genuine('damaged', one.directory), genuine('damaged', 'base', fqrn)];
  const read = storedIn(directories, one.removed);
  const shelf = testShelf(read);
  const manifest = read('.cvmfspublished');
  const line = (letter: string) => manifestLine(manifest, letter);
  const root = rootWant(line('C') ?? '', Number(line('B')));
  const opened = shelf.run(() => openTree(root, shelf, options));
  const tree = opened.kind === 'done' ? opened.value : (opened.error?.code ?? 'no reason');
  t.teardown(() => {
    if (typeof tree !== 'string') tree.close();
    shelf.close();
  });
  return { shelf, tree, line };
}

/** All bytes of a file; or the code of the error that stood in the way. */
function readFile(tree: Tree, shelf: TestShelf, path: string): Buffer | string {
  const entry = shelf.run(() => tree.resolve(fromText(path)));
  if (entry.kind !== 'done') return entry.error?.code ?? `errno ${entry.errno}`;
  const pieces = shelf.run(() => wantsForRange(tree, entry.value, 0, entry.value.size));
  if (pieces.kind !== 'done') return pieces.error?.code ?? `errno ${pieces.errno}`;
  const parts: Buffer[] = [];
  for (const piece of pieces.value) {
    try {
      shelf.provide(piece.want);
    } catch (error) {
      return (error as { code: string }).code;
    }
    const part = Buffer.alloc(piece.length);
    shelf.read(piece.want, piece.position, piece.length, part, 0);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** Names in a directory, sorted; or the code of the error. */
function names(tree: Tree, shelf: TestShelf, path: string): ByteString[] | string {
  const entry = shelf.run(() => tree.resolve(fromText(path)));
  if (entry.kind !== 'done') return entry.error?.code ?? `errno ${entry.errno}`;
  const page = shelf.run(() => tree.list(entry.value.node, 0, 1000));
  if (page.kind !== 'done') return page.error?.code ?? `errno ${page.errno}`;
  return page.value.entries.map((it) => it.name).sort();
}

const rootNames = ['chunked.txt', 'dir', 'hello.txt', 'link', 'nested', 'new.txt', 'xattr.txt'];
const nestedNames = ['.cvmfscatalog', 'inside.txt'];

/** Catalogs that have to be refused as a whole. */
const refusedRoots: Readonly<Record<string, ErrorCode>> = {
  'root-catalog-missing': 'OBJECT_MISSING',
  'root-catalog-bit-flipped': 'OBJECT_HASH_MISMATCH',
  'bomb-root-catalog': 'OBJECT_SIZE_MISMATCH',
  'root-catalog-not-sqlite': 'CATALOG_NOT_SQLITE',
  'root-catalog-empty': 'CATALOG_NOT_SQLITE',
  'root-catalog-half': 'CATALOG_NOT_SQLITE',
  'catalog-table-missing': 'CATALOG_SCHEMA',
  'catalog-no-properties': 'CATALOG_SCHEMA',
  'catalog-no-root-entry': 'CATALOG_ROOT_ENTRY',
  'catalog-root-entry-is-file': 'CATALOG_ROOT_ENTRY',
  'catalog-is-view': 'CATALOG_SCHEMA',
  'catalog-view-endless': 'CATALOG_SCHEMA',
  'catalog-triggers': 'CATALOG_SCHEMA',
  'catalog-wal-mode': 'CATALOG_SCHEMA',
};

/** What a look at one path gives where the rest of the tree works: of a file its content, of a directory its names. */
const refusedPaths: Readonly<Record<string, readonly [string, string]>> = {
  'nested-catalog-missing': ['/nested', 'OBJECT_MISSING'],
  'nested-catalog-bit-flipped': ['/nested', 'OBJECT_HASH_MISMATCH'],
  'nested-catalog-not-sqlite': ['/nested', 'CATALOG_NOT_SQLITE'],
  'nested-hash-malformed': ['/nested', 'CATALOG_SCHEMA'],
  'nested-catalog-is-root-catalog': ['/nested', 'CATALOG_SCHEMA'],
  'directory-is-own-parent': ['/dir', `errno 2`],
  'object-content-too-long': ['/hello.txt', 'OBJECT_SIZE_MISMATCH'],
  'object-content-too-short': ['/hello.txt', 'OBJECT_SIZE_MISMATCH'],
  'bomb-file': ['/hello.txt', 'OBJECT_SIZE_MISMATCH'],
  'size-negative': ['/hello.txt', 'CATALOG_SCHEMA'],
  'size-huge': ['/hello.txt', 'CATALOG_SCHEMA'],
  'size-min-int64': ['/hello.txt', 'CATALOG_SCHEMA'],
  'hash-null': ['/hello.txt', 'CATALOG_SCHEMA'],
  'hash-too-short': ['/hello.txt', 'CATALOG_SCHEMA'],
  'hash-too-long': ['/hello.txt', 'CATALOG_SCHEMA'],
  'hash-algorithm-unknown': ['/hello.txt', 'CATALOG_SCHEMA'],
  'compression-unknown': ['/hello.txt', 'CATALOG_SCHEMA'],
  'catalog-wrong-column-types': ['/hello.txt', 'CATALOG_SCHEMA'],
  'catalog-mode-not-a-type': ['/hello.txt', 'CATALOG_SCHEMA'],
  'chunks-none': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunks-gap': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunks-overlap': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunks-first-not-at-zero': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunks-beyond-end': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunks-too-few': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunk-offset-huge': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunk-size-huge': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunk-hash-null': ['/chunked.txt', 'CATALOG_SCHEMA'],
  'chunk-size-wrong': ['/chunked.txt', 'OBJECT_SIZE_MISMATCH'],
  'chunks-swapped': ['/chunked.txt', 'OBJECT_SIZE_MISMATCH'],
};

/** Damage that changes nothing: what the root then lists. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  base: rootNames,
  'name-with-slash': rootNames,
  'name-dotdot': rootNames,
  'name-dot': rootNames,
  'name-with-nul': rootNames,
  'name-empty': rootNames,
  'name-too-long': rootNames,
  'name-twice': rootNames,
  'nested-path-escapes': rootNames,
  'nested-cycle': rootNames,
  'nested-mountpoint-without-catalog': rootNames,
  'symlink-empty': rootNames,
  'xattr-garbage': rootNames,
};

/** The files that a case leaves whole have the content that the reference shows. */
function stillWorks(t: Test, one: DamagedCase, { tree, shelf }: Opened): void {
  if (typeof tree === 'string') return;
  for (const path of one.still_works ?? []) {
    const content = readFile(tree, shelf, path);
    const shown = one.reference.operations?.[`read ${path}`] ?? '';
    t.type(content, Buffer, `${path} is readable`);
    const digest = createHash('sha256').update(content).digest('hex');
    // Where the reference ended, nobody says what the content is.
    if (shown.startsWith('ok')) t.match(shown, digest.slice(0, 16), path);
  }
}

void t.test('catalogs that can not be used are refused, each for its reason', needsGenuine, (t) => {
  const cases = readCases();
  for (const [name, code] of Object.entries(refusedRoots)) {
    const one = cases.get(name);
    if (one === undefined) throw new Error(`no case ${name}`);
    t.equal(openCase(t, one).tree, code, name);
  }
  t.end();
});

void t.test('a damaged path fails with its reason, and the rest works', needsGenuine, (t) => {
  const cases = readCases();
  for (const [name, [path, code]] of Object.entries(refusedPaths)) {
    const one = cases.get(name);
    if (one === undefined) throw new Error(`no case ${name}`);
    const opened = openCase(t, one);
    const { tree, shelf } = opened;
    if (typeof tree === 'string') t.fail(`${name}: ${tree}`);
    else {
      const look = path.endsWith('.txt') ? readFile : names;
      t.equal(look(tree, shelf, path), code, name);
      stillWorks(t, one, opened);
      if (path === '/nested') t.equal(shelf.must(() => tree.resolve('/nested')).type, 'directory');
    }
  }
  t.end();
});

void t.test('nonsense that harms nothing leaves the tree as it is', needsGenuine, (t) => {
  const cases = readCases();
  for (const [name, expected] of Object.entries(harmless)) {
    const one = cases.get(name);
    if (one === undefined) throw new Error(`no case ${name}`);
    const opened = openCase(t, one);
    const { tree, shelf } = opened;
    if (typeof tree === 'string') t.fail(`${name}: ${tree}`);
    else {
      t.strictSame(names(tree, shelf, '/'), expected, name);
      const isEmpty = name === 'nested-mountpoint-without-catalog';
      t.strictSame(names(tree, shelf, '/nested'), isEmpty ? [] : nestedNames, `/nested of ${name}`);
      const refused = name.startsWith('name-') ? 1 : 0;
      t.equal(tree.statistics.rowsRefused, refused, `rows refused of ${name}`);
      stillWorks(t, one, opened);
    }
  }
  t.end();
});

void t.test(
  'rows of the wrong type are told from the sound ones beside them',
  needsGenuine,
  (t) => {
    const cases = readCases();
    const open = (name: string) => {
      const one = cases.get(name);
      if (one === undefined) throw new Error(`no case ${name}`);
      const { tree, shelf } = openCase(t, one);
      if (typeof tree === 'string') throw new Error(tree);
      return { tree, shelf };
    };
    const types = open('catalog-wrong-column-types');
    t.strictSame(names(types.tree, types.shelf, '/'), rootNames, 'what has a type is listed');
    t.match(types.shelf.must(() => types.tree.resolve('/link')).broken?.message, /flags/);
    t.strictSame(names(types.tree, types.shelf, '/dir'), ['data.txt'], 'a name may be a blob');
    const modes = open('catalog-mode-not-a-type');
    const listed = rootNames.filter((name) => name !== 'hello.txt' && name !== 'new.txt');
    t.strictSame(names(modes.tree, modes.shelf, '/'), listed);
    const link = open('symlink-empty');
    t.match(
      link.shelf.must(() => link.tree.resolve('/link')),
      { type: 'symlink', target: '', size: 0 },
    );
    const xattr = open('xattr-garbage');
    t.match(
      xattr.shelf.must(() => xattr.tree.resolve('/xattr.txt')),
      { xattrs: undefined, broken: undefined },
    );
    t.end();
  },
);

void t.test('damaged tag databases are refused, each for its reason', needsGenuine, (t) => {
  const cases = readCases();
  const codeOf = (name: string): string => {
    const one = cases.get(name);
    if (one === undefined) throw new Error(`no case ${name}`);
    const { shelf, line } = openCase(t, one);
    const hash = parseHash(line('H') ?? '');
    if (hash === undefined) throw new Error('no history');
    const want: Want = { ...rootWant(hash), object: { hash, kind: 'history' } };
    try {
      shelf.provide(want);
      return rootHashOf(tagByName(openHistory(shelf.path(want) ?? '', fqrn), one.tag ?? '')).text;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  t.equal(codeOf('history-not-sqlite'), 'HISTORY_MALFORMED');
  t.equal(codeOf('history-other-repository'), 'HISTORY_NAME_MISMATCH');
  t.equal(codeOf('tag-unknown'), 'TAG_UNKNOWN');
  t.equal(codeOf('tag-hash-malformed'), 'TAG_HASH_MALFORMED');
  t.equal(codeOf('tag-catalog-missing'), '34a141c2519c33bb83d49b7b22fc43ffaced3323');
  t.end();
});
