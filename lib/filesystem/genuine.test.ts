import { errno } from '../format/errno.js';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { fromBytes, fromText, type ByteString } from '../format/bytes.js';
import type { Outcome } from '../store/want.js';
import {
  expectedBytes,
  genuine,
  needsGenuine,
  readExpected,
  type ExpectedEntry,
} from '../testing/genuine.js';
import { rootWant, storedIn, testShelf, type TestShelf } from '../testing/fakes/memory-shelf.js';
import { buildFilesystem } from './build-filesystem.js';
import type { Filesystem } from './filesystem.js';
import type { Entry } from '../tree/entry.js';
import { quietFacts } from './live-facts.js';
import type { SnapshotDescriptor } from './snapshot-descriptor.js';

const name = 'features-sha1';
const repository = 'features-sha1.example.org';
/** The revision with everything in it but external files: those have a test of their own kind. */
const tag = 'v3-uncompressed';
const rootHash = 'ae75e0adbdd583e8425cbc1b2d8c2278d1dcadac';

function descriptor(hash: string): SnapshotDescriptor {
  return {
    cacheDirectory: '',
    root: rootWant(hash),
    tree: {
      variables: { TEST_SET: 'value', TEST_EMPTY: '' },
      owner: { uid: 0, gid: 0 },
    },
    identity: {
      fqrn: repository,
      tag,
      revision: 3,
      rootHash: hash,
      pinned: true,
      sourceLabel: 'genuine',
      trust: '{}',
    },
  };
}

interface Made {
  readonly shelf: TestShelf;
  readonly filesystem: Filesystem;
}

function build(t: { teardown(work: () => void): void }, hash = rootHash): Made {
  const shelf = testShelf(storedIn([genuine(name, repository)]));
  const built = shelf.run(() =>
    buildFilesystem(descriptor(hash), shelf, () => quietFacts({ uid: 0 })),
  );
  if (built.kind !== 'done') throw built.error ?? new Error(`errno ${built.errno}`);
  t.teardown(() => {
    built.value.close();
    shelf.close();
  });
  return { shelf, filesystem: built.value.filesystem };
}

function must<T>({ shelf }: Made, operation: () => Outcome<T>): T {
  const outcome = shelf.run(operation);
  if (outcome.kind !== 'done') throw outcome.error ?? new Error(`errno ${outcome.errno}`);
  return outcome.value;
}

function pathOf(line: ExpectedEntry): ByteString {
  const path = fromBytes(expectedBytes(line.path, line.path_b64) ?? Buffer.alloc(0));
  return path === '/' ? '' : path;
}

function readWhole(made: Made, { node, size }: Entry, step: number): string {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(step);
  for (let offset = 0; offset <= size;) {
    const at = offset;
    const count = must(made, () => made.filesystem.read(node, at, step, buffer, 0));
    if (count === 0) break;
    hash.update(buffer.subarray(0, count));
    offset += count;
  }
  return hash.digest('hex');
}

void t.test(
  'attributes, targets, contents and listings are those of the reference',
  needsGenuine,
  (t) => {
    const made = build(t);
    const { filesystem } = made;
    const children = new Map<ByteString, ByteString[]>();
    for (const line of readExpected(name, 'expected', `${tag}.jsonl`)) {
      const path = pathOf(line);
      const found = must(made, () => filesystem.resolve(path));
      const shown = {
        mode: (found.mode & 0o7777).toString(8),
        uid: found.uid,
        gid: found.gid,
        size: found.size,
        nlink: found.nlink,
        mtime: found.mtime,
      };
      const { uid, gid, size, nlink, mtime } = line;
      const mode = parseInt(line.mode, 8).toString(8);
      t.same(shown, { mode, uid, gid, size, nlink, mtime }, line.path ?? line.path_b64 ?? '');
      if (line.sha256 !== undefined) {
        t.equal(readWhole(made, found, 50_000), line.sha256, `content of ${line.path}`);
      }
      if (line.type === 'symlink') {
        const target = must(made, () => filesystem.readlink(found.node));
        t.equal(target, fromBytes(expectedBytes(line.target, line.target_b64) ?? Buffer.alloc(0)));
      }
      const parent = path.slice(0, path.lastIndexOf('/'));
      if (path !== '' && line.hidden !== true) {
        children.set(parent, [...(children.get(parent) ?? []), path.slice(parent.length + 1)]);
      }
      if (line.type === 'dir') children.set(path, children.get(path) ?? []);
    }
    for (const [path, names] of children) {
      const { node } = must(made, () => filesystem.resolve(path));
      const page = must(made, () => filesystem.readdir(node, 0, 10_000));
      t.same(page.names.slice(0, 2), ['.', '..']);
      t.same([...page.names.slice(2)].sort(), names.sort(), `listing of ${path}`);
      const above = must(made, () =>
        filesystem.resolve(path.slice(0, Math.max(0, path.lastIndexOf('/')))),
      );
      t.equal(page.attributes[0]?.ino, must(made, () => filesystem.getattr(node)).ino);
      t.equal(page.attributes[1]?.ino, above.ino, `.. of ${path}`);
    }
    t.end();
  },
);

void t.test('stored attributes are given and listed, magic ones on top', needsGenuine, (t) => {
  const made = build(t);
  const { filesystem } = made;
  let seen = 0;
  for (const line of readExpected(name, 'expected', `${tag}.jsonl`)) {
    const path = pathOf(line);
    const { node } = must(made, () => filesystem.resolve(path));
    const names = must(made, () => filesystem.listxattr(node));
    const stored = Object.entries(line.xattrs ?? {});
    if (path !== '') t.equal(names.length, stored.length, path);
    for (const [text, base64] of stored) {
      const attribute = fromText(text);
      seen++;
      t.ok(names.includes(attribute));
      const value = must(made, () => filesystem.getxattr(node, attribute));
      t.equal(value.toString('base64'), base64, `${line.path} ${attribute}`);
    }
  }
  t.ok(seen > 10);
  t.end();
});

interface ExpectedChunk {
  readonly tag: string;
  readonly path: string;
  readonly offset: number;
  readonly size: number;
  readonly hash: string;
}

void t.test('chunk lists are those of the publisher', needsGenuine, (t) => {
  const made = build(t);
  const { filesystem } = made;
  const lists = new Map<string, string>();
  for (const text of readFileSync(genuine(name, 'expected', 'chunks.jsonl'), 'utf8').split('\n')) {
    const chunk = text === '' ? undefined : (JSON.parse(text) as ExpectedChunk);
    if (chunk?.tag !== tag) continue;
    const list = lists.get(chunk.path) ?? 'hash,offset,size\n';
    lists.set(chunk.path, `${list}${chunk.hash},${chunk.offset},${chunk.size}\n`);
  }
  t.ok(lists.size > 3);
  for (const [path, list] of lists) {
    const { node } = must(made, () => filesystem.resolve(path));
    const text = must(made, () => filesystem.getxattr(node, 'user.chunk_list')).toString();
    t.equal(text, list, path);
    const count = must(made, () => filesystem.getxattr(node, 'user.chunks')).toString();
    t.equal(Number(count), list.split('\n').length - 2);
  }
  t.end();
});

void t.test('counters of the repository add up to what is listed', needsGenuine, (t) => {
  const made = build(t);
  const { root } = made.filesystem;
  const counters = must(made, () => made.filesystem.getxattr(root, 'user.repo_counters'));
  const ofTag = (file: string) =>
    readFileSync(genuine(name, 'expected', file), 'utf8').split(`"tag":"${tag}"`).length - 1;
  // The root catalog is in the list, and nested in none.
  const nested = ofTag('catalogs.jsonl') - 1;
  t.match(counters.toString(), `\nchunks,${ofTag('chunks.jsonl')}\n`);
  t.match(counters.toString(), `\nnested,${nested}\n`);
  const lines = readExpected(name, 'expected', `${tag}.jsonl`);
  const counted = (kind: string): number =>
    Number(new RegExp(`^${kind},(\\d+)$`, 'm').exec(counters.toString())?.[1] ?? 0);
  const entries = counted('regular') + counted('dir') + counted('symlink') + counted('special');
  t.ok(entries >= lines.length, `${entries} entries`);
  t.equal(made.filesystem.statfs().files, 0, 'that is no business of df');
  t.end();
});

void t.test('a root catalog that is missing is a miss, then a failure', needsGenuine, (t) => {
  const shelf = testShelf(storedIn([genuine(name, repository)]));
  t.teardown(() => shelf.close());
  const absent = descriptor('f'.repeat(40));
  const first = buildFilesystem(absent, shelf, () => quietFacts());
  t.equal(first.kind, 'miss');
  const last = shelf.run(() => buildFilesystem(absent, shelf, () => quietFacts()));
  t.match(last, { kind: 'failure', errno: errno.EIO, error: { code: 'OBJECT_MISSING' } });
  t.end();
});
