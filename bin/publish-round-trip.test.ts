import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { seededRandom } from '../lib/laboratory/random.js';
import { open, type FileEntry } from '../lib/index.js';
import { testCertificate } from '../lib/publish/keys.js';
import { makeRepository } from '../lib/publish/write-repository.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// What was published is read again as it lay on the disk, over five revisions of edits. PINFS_SEED=N repeats a run.

const fqrn = 'round.example.org';
const revisions = 5;
const seed = Number(process.env['PINFS_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const random = seededRandom(seed);
const below = (count: number): number => Math.floor(random() * count);
const oneOf = <T>(values: readonly [T, ...T[]]): T => values[below(values.length)] ?? values[0];

// Around what a chunk has at least, on average and at most.
const chunkSizes = '4096/8192/16384';
const sizes = [0, 1, 100, 4095, 4096, 4097, 8192, 16383, 16384, 16385, 70_000] as const;

function content(): Buffer {
  const bytes = Buffer.alloc(oneOf(sizes));
  // Half of them can be compressed.
  const values = oneOf([4, 256]);
  for (let at = 0; at < bytes.length; at++) bytes[at] = below(values);
  return bytes;
}

/** Bytes that a name can have: neither a slash nor a NUL, and not only UTF-8. */
function name(): Buffer {
  const letters = Array.from({ length: 1 + below(12) }, () =>
    oneOf([97 + below(26), 0x20, 0x0a, 0x5c, 0x80 + below(127), 0xc3]),
  );
  return Buffer.from([0x6e, ...letters]);
}

const under = (directory: Buffer, child: Buffer): Buffer =>
  Buffer.concat([directory, Buffer.from('/'), child]);

interface Found {
  readonly directories: Buffer[];
  readonly files: Buffer[];
  readonly others: Buffer[];
}

function find(directory: Buffer, found: Found = { directories: [], files: [], others: [] }): Found {
  found.directories.push(directory);
  for (const child of readdirSync(directory, { encoding: 'buffer' })) {
    const path = under(directory, child);
    const status = lstatSync(path);
    if (status.isDirectory()) find(path, found);
    else (status.isFile() ? found.files : found.others).push(path);
  }
  return found;
}

function make(tree: Buffer): void {
  const { directories, files } = find(tree);
  const path = under(oneOf([tree, ...directories]), name());
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return;
  const [file] = files;
  const kind = below(12);
  if (kind < 3) {
    mkdirSync(path);
    if (kind === 0) writeFileSync(under(path, Buffer.from('.cvmfscatalog')), '');
  } else if (kind === 3) symlinkSync(name(), path);
  else if (kind === 4) {
    // A word of a command is text: names that are none are given afterwards.
    execFileSync('mkfifo', [`${tree.toString()}/fifo`]);
    renameSync(`${tree.toString()}/fifo`, path);
  } else if (kind === 5 && file !== undefined) linkSync(oneOf([file, ...files]), path);
  else writeFileSync(path, content(), { mode: oneOf([0o644, 0o755, 0o600, 0o444]) });
  const made = lstatSync(path, { throwIfNoEntry: false });
  if (made === undefined) return;
  if (below(2) === 0) lutimesSync(path, below(2 ** 31), below(2 ** 31));
  if (made.isDirectory()) chmodSync(path, oneOf([0o755, 0o700, 0o1777, 0o2755]));
}

function edit(tree: Buffer): void {
  const { directories, files, others } = find(tree);
  const [, ...nested] = directories;
  const all = [...nested, ...files, ...others];
  const [first] = all;
  if (first === undefined) return;
  const path = oneOf([first, ...all]);
  const kind = below(4);
  if (kind === 0) rmSync(path, { recursive: true });
  else if (kind === 1 && lstatSync(path).isFile()) writeFileSync(path, content(), { flag: 'w' });
  else if (kind === 2 && !path.includes('.cvmfscatalog')) move(path, under(tree, name()));
  else make(tree);
}

function move(from: Buffer, to: Buffer): void {
  // A directory takes no file's place.
  if (lstatSync(to, { throwIfNoEntry: false }) === undefined) renameSync(from, to);
}

const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

/** What is asked of each entry, by its path as bytes. */
type Shown = Record<string, readonly (string | number)[]>;

const types = { 0o10: 'file', 0o04: 'directory', 0o12: 'symlink', 0o01: 'fifo' };

function onDisk(tree: Buffer): Shown {
  const shown: Shown = {};
  const { directories, files, others } = find(tree);
  // Names of a file in several directories become several files.
  const group = (path: Buffer): string =>
    `${lstatSync(path).ino} ${path.subarray(0, path.lastIndexOf('/')).toString('latin1')}`;
  const groups = files.map(group);
  for (const path of [...directories, ...files, ...others]) {
    const { mode, mtimeMs, size, uid, gid } = lstatSync(path);
    const nlink = groups.filter((one) => one === group(path)).length;
    const type = types[(mode >> 12) as keyof typeof types];
    const bytes = type === 'file' ? digest(readFileSync(path)) : '';
    const target = type === 'symlink' ? readlinkSync(path, { encoding: 'latin1' }) : '';
    const key = path.subarray(tree.length).toString('latin1') || '/';
    shown[key] = [
      type,
      mode & 0o7777,
      Math.floor(mtimeMs / 1000),
      uid,
      gid,
      ...(type === 'file' ? [size, nlink, bytes] : [target]),
    ];
  }
  return shown;
}

function fromSnapshot(entry: FileEntry, bytes: Buffer): readonly (string | number)[] {
  const { type, mode, mtime, uid, gid, size, nlink, target } = entry;
  const own = type === 'file' ? [size, nlink, digest(bytes)] : [target?.toString('latin1') ?? ''];
  return [type, mode, mtime, uid, gid, ...own];
}

void t.test(`what is published is read as it was (PINFS_SEED=${seed})`, async (t) => {
  const work = t.testdir({ tree: {}, home: {} });
  const tree = Buffer.from(join(work, 'tree'));
  const made = makeRepository({ fqrn, revisions: [{ tree: {} }] });
  const directory = made.writeTo(work);
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  writeFileSync(join(work, 'signing.key'), testCertificate.privateKey, { mode: 0o600 });
  const home = join(work, 'home');
  const env = { HOME: home, XDG_STATE_HOME: '', XDG_CONFIG_HOME: '', XDG_CACHE_HOME: '' };
  const words = ['publish', fqrn, '--storage', directory, '--from', tree.toString()];
  const signing = ['--signing-key', join(work, 'signing.key'), '--chunk-sizes', chunkSizes];
  for (let revision = 1; revision <= revisions; revision++) {
    for (let count = 0; count < 25; count++) make(tree);
    if (revision > 1) for (let count = 0; count < 10; count++) edit(tree);
    const expected = onDisk(tree);
    const published = await pinfsInProcess([...words, ...signing, '--tag', `r${revision}`], env);
    t.match(published, { code: 0, stderr: '' });
    const source = `${directory}@r${revision}`;
    const snapshot = await open({ source, keys: [key], cache: join(work, 'cache') });
    const seen: Shown = {};
    for await (const entry of snapshot.walk('/')) {
      const bytes = entry.type === 'file' ? await snapshot.read(entry.path) : Buffer.alloc(0);
      seen[entry.path.toString('latin1')] = fromSnapshot(entry, bytes);
    }
    await snapshot.close();
    const paths = [...new Set([...Object.keys(seen), ...Object.keys(expected)])];
    const different = paths
      .filter((path) => String(seen[path]) !== String(expected[path]))
      .map(
        (path) => `${JSON.stringify(path)}: ${seen[path]?.join()}, not ${expected[path]?.join()}`,
      );
    t.same(different, [], `revision ${revision}, ${paths.length} entries`);
  }
});
