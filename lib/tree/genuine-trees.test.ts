import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fromBytes, printable, type ByteString } from '../format/bytes.js';
import {
  expectedBytes,
  genuine,
  needsGenuine,
  readExpected,
  type ExpectedEntry,
} from '../testing/genuine.js';
import { rootWant, storedIn, testShelf, type TestShelf } from '../testing/fakes/memory-shelf.js';
import type { Entry } from './entry.js';
import { openTree } from './open-tree.js';
import type { Tree, TreeOptions } from './tree.js';

const options: TreeOptions = {
  variables: { TEST_SET: 'value', TEST_EMPTY: '' },
  owner: { uid: 0, gid: 0 },
};

interface Walked {
  readonly entries: Map<ByteString, Entry>;
  readonly chunks: string[];
  readonly catalogs: Set<string>;
}

/** Every entry, with chunks and catalogs; hidden `/.cvmfs` included, bind mountpoints not entered, as the oracle lists them. */
function walk(tree: Tree, shelf: TestShelf): Walked {
  const walked: Walked = { entries: new Map(), chunks: [], catalogs: new Set() };
  const visit = (entry: Entry): void => {
    walked.entries.set(entry.path, entry);
    const { content } = entry;
    if (content?.chunked === true) {
      const how = `${content.compression} ${content.hash?.text ?? ''}`;
      for (const { offset, size, object } of shelf.must(() => tree.chunks(entry.node)))
        walked.chunks.push([entry.path, offset, size, object.hash.text, how].join(' '));
    }
    if (entry.type !== 'directory' || entry.bindMountpoint) return;
    const { mountpoint, want } = shelf.must(() => tree.catalogOf(entry.node));
    walked.catalogs.add(`${mountpoint || '/'} ${want.object.hash.text}`);
    for (let after = 0, end = false; !end;) {
      const page = shelf.must(() => tree.list(entry.node, after, 7));
      page.entries.forEach(visit);
      after = page.cookies.at(-1) ?? after;
      end = page.end;
    }
  };
  visit(shelf.must(() => tree.entry(tree.root)));
  const secret = shelf.run(() => tree.lookup(tree.root, '.cvmfs'));
  if (secret.kind === 'done') visit(secret.value);
  return walked;
}

const expectedTypes: Readonly<Record<string, Entry['type']>> = {
  dir: 'directory',
  char: 'character',
};

function pathOf(line: ExpectedEntry): ByteString {
  const path = fromBytes(expectedBytes(line.path, line.path_b64) ?? Buffer.alloc(0));
  return path === '/' ? '' : path;
}

/** What is unlike the oracle, one sentence each. */
function differences(walked: Walked, lines: readonly ExpectedEntry[]): string[] {
  const found: string[] = [];
  const seen = new Set<ByteString>();
  const inoOfGroup = new Map<string, bigint>();
  const groupOfIno = new Map<bigint, string>();
  for (const line of lines) {
    const path = pathOf(line);
    seen.add(path);
    const entry = walked.entries.get(path);
    if (entry === undefined) {
      found.push(`${printable(path)}: not there`);
      continue;
    }
    const raw = expectedBytes(line.raw_target, line.raw_target_b64);
    const target = expectedBytes(line.target, line.target_b64);
    const group = line.hardlink_group ?? line.hardlink_group_b64 ?? `alone ${path}`;
    if (!inoOfGroup.has(group)) inoOfGroup.set(group, entry.ino);
    const sharers = groupOfIno.get(entry.ino);
    if (sharers !== undefined && sharers !== group)
      found.push(`${printable(path)}: inode of ${sharers}`);
    groupOfIno.set(entry.ino, group);
    const pairs: [string, unknown, unknown][] = [
      ['broken', entry.broken?.message, undefined],
      ['type', entry.type, expectedTypes[line.type] ?? line.type],
      ['mode', (entry.mode & 0o7777).toString(8).padStart(4, '0'), line.mode],
      ['uid', entry.uid, line.uid],
      ['gid', entry.gid, line.gid],
      ['size', entry.size, line.size],
      ['nlink', entry.nlink, line.nlink],
      ['mtime', entry.mtime, line.mtime],
      ['mtimeNs', entry.mtimeNs, line.mtime_ns ?? 0],
      ['target', entry.target, target === undefined ? '' : fromBytes(target)],
      ['raw target', entry.rawTarget, fromBytes(raw ?? target ?? Buffer.alloc(0))],
      ['rdev', entry.rdev, line.rdev === undefined ? 0 : packed(line.rdev)],
      ['xattrs', shownXattrs(entry), line.xattrs === undefined ? '' : sortedJson(line.xattrs)],
      ['hidden', entry.hidden, line.path === '/.cvmfs'],
      ['bind', entry.bindMountpoint, line.bind_mountpoint ?? false],
      [
        'nested',
        entry.nestedMountpoint,
        (line.nested_catalog ?? false) && line.bind_mountpoint !== true,
      ],
      ['external', entry.content?.external ?? false, line.external ?? false],
      ['chunked', entry.content?.chunked ?? false, line.chunked ?? false],
      ['inode of its group', entry.ino, inoOfGroup.get(group)],
    ];
    for (const [what, got, wanted] of pairs) {
      if (got !== wanted)
        found.push(`${printable(path)}: ${what} ${String(got)} for ${String(wanted)}`);
    }
  }
  for (const path of walked.entries.keys()) {
    if (!seen.has(path)) found.push(`${printable(path)}: should not be there`);
  }
  return found;
}

function packed([major, minor]: [number, number]): number {
  return (major & 0xfff) * 256 + (minor & 0xff) + Math.floor(minor / 256) * 2 ** 20;
}

function sortedJson(value: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(value).sort());
}

function shownXattrs(entry: Entry): string {
  if (entry.xattrs === undefined) return '';
  const shown: Record<string, string> = {};
  for (const [name, value] of entry.xattrs)
    shown[Buffer.from(name, 'latin1').toString()] = value.toString('base64');
  return sortedJson(shown);
}

interface TagsFile {
  readonly head: { readonly root_hash: string };
  readonly tags?: readonly { readonly name: string; readonly root_hash: string }[];
}

/** Roots by the name of their expected file. */
function rootsOf(folder: string): [string, string][] {
  const tags = JSON.parse(readFileSync(genuine(folder, 'expected/tags.json'), 'utf8')) as TagsFile;
  const named = (tags.tags ?? []).map((tag): [string, string] => [
    tag.name.replaceAll(':', '_'),
    tag.root_hash,
  ]);
  const all: [string, string][] = [['head', tags.head.root_hash], ...named];
  return all.filter(([name]) => existsSync(genuine(folder, 'expected', `${name}.jsonl`)));
}

function repositoryOf(folder: string): string {
  const name = readdirSync(genuine(folder)).find((it) =>
    existsSync(genuine(folder, it, '.cvmfspublished')),
  );
  if (name === undefined) throw new Error(`no repository in ${folder}`);
  return genuine(folder, name);
}

interface ChunkLine {
  readonly tag: string;
  readonly path?: string;
  readonly path_b64?: string;
  readonly offset: number;
  readonly size: number;
  readonly hash: string;
  readonly compression: string;
  readonly file_hash?: string;
}

interface CatalogLine {
  readonly tag: string;
  readonly mountpoint: string;
  readonly hash: string;
  readonly size: number;
}

function jsonLines<T>(folder: string, file: string): T[] {
  return readFileSync(genuine(folder, 'expected', file), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

function expectedChunks(folder: string, tag: string): string[] {
  return jsonLines<ChunkLine>(folder, 'chunks.jsonl')
    .filter((line) => line.tag.replaceAll(':', '_') === tag)
    .map((line) => {
      const path = fromBytes(expectedBytes(line.path, line.path_b64) ?? Buffer.alloc(0));
      const how = `${line.compression} ${line.file_hash ?? ''}`;
      return [path, line.offset, line.size, line.hash, how].join(' ');
    })
    .sort();
}

const folders = [
  'default-chunks',
  'features-sha1',
  'features-rmd160',
  'features-shake128',
  'ships-with-project',
];

function allFolders(): string[] {
  return [
    ...folders,
    ...readdirSync(genuine('legacy')).map((name) => join('legacy', name)),
    ...readdirSync(genuine('variants')).map((name) => join('variants', name)),
  ].filter((folder) => rootsOf(folder).length > 0);
}

void t.test('trees equal what the reference client shows', needsGenuine, async (t) => {
  for (const folder of allFolders()) {
    await t.test(folder, (t) => {
      const shelf = testShelf(storedIn([repositoryOf(folder)]));
      t.teardown(() => shelf.close());
      for (const [name, hash] of rootsOf(folder)) {
        const tree = shelf.must(() => openTree(rootWant(hash), shelf, options));
        const walked = walk(tree, shelf);
        const expected = readExpected(folder, 'expected', `${name}.jsonl`);
        t.strictSame(differences(walked, expected), [], name);
        t.strictSame(walked.chunks.sort(), expectedChunks(folder, name), `chunks of ${name}`);
        const catalogs = jsonLines<CatalogLine>(folder, 'catalogs.jsonl')
          .filter((line) => line.tag.replaceAll(':', '_') === name)
          .map((line) => `${line.mountpoint} ${line.hash}`);
        t.strictSame([...walked.catalogs].sort(), catalogs.sort(), `catalogs of ${name}`);
        t.equal(tree.statistics.rowsRefused, 0);
        tree.close();
      }
      t.end();
    });
  }
});
