import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type Database from 'better-sqlite3';
import t from 'tap';
import { fromBytes, fromText, type ByteString } from '../format/bytes.js';
import { expectedBytes, genuine, needsGenuine, readExpected } from './genuine.js';
import { pathKeyColumns } from '../publish/catalog.js';
import { openStoredDatabase, rows, type Files } from '../publish/read-back.js';
import {
  directory,
  file,
  makeRepository,
  makeSmallRepository,
  signManifest,
  signWhitelist,
  special,
  symlink,
  type DirectorySpec,
  type EntrySpec,
} from '../publish/write-repository.js';

const [change] = pathKeyColumns('/change');

/** All catalogs below a root, by mountpoint, with what is comparable between publishers (the lists
 * of expectations don't say which files are compressed), but for /change. */
function readCatalogs(files: Files, root: string): Map<ByteString, Record<string, unknown>> {
  const found = new Map<ByteString, Record<string, unknown>>();
  const open = [{ path: '', sha1: root }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const db = openStoredDatabase(files, 'catalog', next.sha1);
    const links = 'SELECT CAST(path AS BLOB) AS path, sha1 FROM nested_catalogs';
    const children = (rows(db, links) as { path: Buffer; sha1: string }[]).map((child) => ({
      path: fromBytes(child.path),
      sha1: child.sha1,
    }));
    open.push(...children);
    found.set(next.path, {
      entries: rows(
        db,
        `SELECT md5path_1, md5path_2, parent_1, parent_2, hardlinks & 0xffffffff AS links,
           hardlinks >> 32 > 0 AS grouped, length(hash) AS hash, size, mode, mtime,
           ifnull(mtimens, 0) AS ns, flags & ~0x3800 AS flags, hex(name) AS name, hex(symlink) AS target, uid, gid,
           hex(xattr) AS xattrs FROM catalog WHERE md5path_1 <> ? AND parent_1 <> ?
           ORDER BY md5path_1, md5path_2`,
        change,
        change,
      ),
      chunks: rows(db, 'SELECT md5path_1, md5path_2, offset, size FROM chunks ORDER BY 1, 2, 3'),
      counters: rows(db, 'SELECT counter, value FROM statistics ORDER BY counter'),
      nested: children.map(({ path }) => path).sort(),
      binds: rows(db, 'SELECT path FROM bind_mountpoints ORDER BY path'),
      prefix: rows(db, "SELECT value FROM properties WHERE key = 'root_prefix'"),
    });
    db.close();
  }
  return found;
}

function directoryFiles(path: string): Files {
  return (name) => readFileSync(join(path, name));
}

/** The schema of a database, without what means nothing to SQLite. */
function schema(db: Database.Database): unknown[] {
  const sql = 'SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name';
  return rows(db, sql).map((row) => ({
    ...row,
    sql:
      typeof row['sql'] === 'string' ? row['sql'].replace(/\s+/g, ' ').replace(/\( /g, '(') : null,
  }));
}

const repositoryPath = (fqrn: string): string => genuine(fqrn.replace('.example.org', ''), fqrn);

void t.test('databases have the tables of the genuine ones', needsGenuine, (t) => {
  const files = directoryFiles(repositoryPath('features-shake128.example.org'));
  const lines = (files('.cvmfspublished') ?? Buffer.alloc(0)).toString('latin1').split('\n');
  const made = makeSmallRepository({});
  const value = (all: readonly string[], key: string): string =>
    all.find((line) => line.startsWith(key))?.slice(1) ?? '';
  const madeFiles: Files = (path) => made.files.get(path);
  for (const [key, kind] of [
    ['C', 'catalog'],
    ['H', 'history'],
  ] as const) {
    const genuineOne = openStoredDatabase(files, kind, value(lines, key));
    const madeOne = openStoredDatabase(madeFiles, kind, value(made.head.manifestLines, key));
    t.same(schema(madeOne), schema(genuineOne), kind);
    t.equal(madeOne.pragma('page_size', { simple: true }), 4096);
  }
  t.end();
});

void t.test('signatures are those of the genuine tools', needsGenuine, (t) => {
  const read = (...path: string[]): string => readFileSync(genuine(...path), 'latin1');
  for (const fqrn of ['features-sha1', 'features-rmd160', 'features-shake128'] as const) {
    const algorithm = fqrn.slice('features-'.length) as 'sha1' | 'rmd160' | 'shake128';
    const name = `${fqrn}.example.org`;
    const manifest = readFileSync(join(repositoryPath(name), '.cvmfspublished'));
    const whitelist = readFileSync(join(repositoryPath(name), '.cvmfswhitelist'));
    const linesOf = (bytes: Buffer): string[] =>
      bytes.subarray(0, bytes.indexOf('\n--\n')).toString('latin1').split('\n');
    const certificate = {
      certificate: read('keys', 'private', `${name}.crt`),
      privateKey: read('keys', 'private', `${name}.key`),
    };
    t.ok(signManifest(linesOf(manifest), algorithm, certificate).equals(manifest), name);
    const master = {
      publicKey: read('keys', `${name}.pub`),
      privateKey: read('keys', 'private', `${name}.masterkey`),
    };
    t.ok(signWhitelist(linesOf(whitelist), algorithm, master).equals(whitelist), name);
  }
  t.end();
});

interface ExpectedChunk {
  tag: string;
  path: string;
  size: number;
  compression: string;
  file_hash?: string;
}

/** The specification of a genuine tree, from what the reference client shows of it. */
function specOfExpected(repository: string, tag: string): DirectorySpec {
  const chunks = new Map<string, ExpectedChunk[]>();
  const lines = readFileSync(genuine(repository, 'expected', 'chunks.jsonl'), 'utf8').trim();
  for (const chunk of lines.split('\n').map((line) => JSON.parse(line) as ExpectedChunk)) {
    if (chunk.tag !== tag) continue;
    chunks.set(chunk.path, [...(chunks.get(chunk.path) ?? []), chunk]);
  }
  const entries = new Map<ByteString, { spec: EntrySpec; children: Record<string, EntrySpec> }>();
  const groups = new Map<string, number>();
  for (const line of readExpected(repository, 'expected', `${tag}.jsonl`)) {
    const bytes = expectedBytes(line.path, line.path_b64) ?? Buffer.alloc(0);
    const path = line.path === '/' ? '' : fromBytes(bytes);
    const group = line.hardlink_group ?? line.hardlink_group_b64;
    if (group !== undefined && !groups.has(group)) groups.set(group, groups.size + 1);
    const xattrs = Object.entries(line.xattrs ?? {}).map(
      ([key, value]) => [fromText(key), Buffer.from(value, 'base64')] as const,
    );
    const linkGroup = group === undefined ? undefined : groups.get(group);
    const attributes = {
      mode: parseInt(line.mode, 8),
      uid: line.uid,
      gid: line.gid,
      mtime: line.mtime,
      mtimeNs: line.mtime_ns ?? 0,
      ...(xattrs.length === 0 ? {} : { xattrs: Object.fromEntries(xattrs) }),
      ...(linkGroup === undefined ? {} : { linkGroup }),
    };
    const children: Record<string, EntrySpec> = {};
    const spec = ((): EntrySpec => {
      switch (line.type) {
        case 'dir':
          return directory(children, { ...attributes, nested: line.nested_catalog === true });
        case 'symlink': {
          const target =
            expectedBytes(line.raw_target, line.raw_target_b64) ??
            expectedBytes(line.target, line.target_b64) ??
            Buffer.alloc(0);
          return symlink(fromBytes(target), attributes);
        }
        case 'file': {
          const parts = chunks.get(path);
          return file(Buffer.alloc(line.size), {
            ...attributes,
            external: line.external === true,
            bulk: parts?.[0]?.file_hash !== undefined,
            ...(line.chunked === true ? { chunks: parts?.map(({ size }) => size) ?? [] } : {}),
          });
        }
        case 'char':
        case 'block': {
          const [major, minor] = line.rdev ?? [0, 0];
          // As glibc packs it (docs/format.md, 5.6), for the small numbers that are in the tree.
          const rdev = (major << 8) | (minor & 0xff) | ((minor & ~0xff) << 12);
          return special(line.type === 'char' ? 'character' : 'block', { ...attributes, rdev });
        }
        default:
          return special(line.type as 'fifo' | 'socket', attributes);
      }
    })();
    entries.set(path, { spec, children });
    const slash = path.lastIndexOf('/');
    if (path !== '') {
      const parent = entries.get(path.slice(0, slash));
      if (parent === undefined) throw new Error(`no parent of ${path}`);
      parent.children[path.slice(slash + 1)] = spec;
    }
  }
  const root = entries.get('')?.spec;
  if (root?.type !== 'directory') throw new Error('no root');
  return root;
}

for (const tag of ['v1-base', 'v5-bulk']) {
  void t.test(`the genuine tree ${tag}, made again, has the same rows`, needsGenuine, (t) => {
    const repository = 'features-shake128';
    const root = specOfExpected(repository, tag);
    const made = makeRepository({
      algorithm: 'shake128',
      revisions: [{ tree: root.entries, root }],
    });
    const tags: unknown = JSON.parse(
      readFileSync(genuine(repository, 'expected', 'tags.json'), 'utf8'),
    );
    const hash = /"(\w{40}-shake128)"/.exec(JSON.stringify(findTag(tags, tag)))?.[1] ?? '';
    const files = directoryFiles(repositoryPath('features-shake128.example.org'));
    const wanted = readCatalogs(files, hash);
    const got = readCatalogs((path) => made.files.get(path), made.head.rootHash.text);
    t.same([...got.keys()].sort(), [...wanted.keys()].sort());
    t.ok(got.size > 200);
    for (const [path, catalog] of wanted) {
      const one = got.get(path) ?? {};
      // Entries of /change got other types in later revisions, for which the reference's publisher
      // leaves wrong flags, link counts and counters behind (docs/format.md, 5.7).
      if (path === '' && tag !== 'v1-base') delete one['counters'];
      if (path === '' && tag !== 'v1-base') delete catalog['counters'];
      const same = JSON.stringify(one, text) === JSON.stringify(catalog, text);
      if (!same) t.same(one, catalog, `catalog of ${path}`);
    }
    t.end();
  });
}

function findTag(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('name' in value && value.name === name) return value;
  for (const [key, one] of Object.entries(value)) {
    if (key === name) return one;
    const found = findTag(one, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** JSON has no big integers. */
function text(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
