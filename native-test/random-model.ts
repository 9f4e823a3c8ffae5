import { fromText, type ByteString } from '../lib/format/bytes.js';
import {
  directory,
  file,
  nested,
  special,
  symlink,
  type DirectorySpec,
  type EntrySpec,
  type FileSpec,
} from '../lib/publish/write-repository.js';
import { seededRandom } from '../lib/testing/trees.js';

/** Random choices that a seed repeats. */
export interface Random {
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  pick<T>(from: readonly T[]): T;
  chance(probability: number): boolean;
}

export function makeRandom(seed: number): Random {
  const next = seededRandom(seed);
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    chance: (probability) => next() < probability,
    pick(from) {
      const chosen = from[below(from.length)];
      if (chosen === undefined) throw new Error('nothing to pick from');
      return chosen;
    },
  };
}

/** The names that entries get: few, so that a name comes back as something else. */
export function namePool(bytes: boolean): readonly ByteString[] {
  return [
    ...Array.from({ length: 24 }, (_, index) => `name${index}`),
    ...['.hidden-by-dot', 'a b', "it's", 'new\nline', 'star*', '-rf', '%41', 'x'.repeat(255)],
    ...['é', '日本', 'name1.'].map(fromText),
    ...(bytes ? ['caf\xe9', '\xff\xfe'] : []),
  ];
}

const deepest = 6;

export interface Maker {
  readonly random: Random;
  readonly names: readonly ByteString[];
}

function attributes({ random }: Maker) {
  return {
    mtime: 1_500_000_000 + random.below(200_000_000),
    ...(random.chance(0.5) ? { mtimeNs: random.below(1_000_000_000) } : {}),
    ...(random.chance(0.3) ? { uid: random.below(70_000), gid: random.below(70_000) } : {}),
    ...(random.chance(0.04) ? { hidden: true } : {}),
  };
}

/** A length at which something could go wrong: nothing, pages, chunks, or any. */
function length({ random }: Maker): number {
  const kind = random.below(10);
  if (kind === 0) return 0;
  if (kind <= 4) return 1 + random.below(300);
  if (kind <= 6) return 4096 * (1 + random.below(4)) + random.pick([-1, 0, 1]);
  return kind <= 8 ? random.below(30_000) : random.below(200_000);
}

/** Bytes of which no two ranges are alike. */
export function noise(random: Random, size: number): Buffer {
  const bytes = Buffer.alloc(Math.ceil(size / 4) * 4);
  const key = random.below(2 ** 32);
  for (let at = 0; at < bytes.length; at += 4) {
    bytes.writeUInt32LE((Math.imul(at + 1, 2_654_435_761) ^ key) >>> 0, at);
  }
  return bytes.subarray(0, size);
}

function xattrs(random: Random): Record<ByteString, Buffer> {
  const names = ['user.a', 'user.other', 'user.of the user'].slice(0, 1 + random.below(3));
  return Object.fromEntries(names.map((name) => [name, noise(random, random.below(200))]));
}

function contentOf(
  maker: Maker,
  size = length(maker),
): Pick<FileSpec, 'content' | 'chunks' | 'compression'> {
  const { random } = maker;
  const chunks = Array.from({ length: 1 + random.below(4) }, () => 700 + random.below(40_000));
  return {
    content: noise(random, size),
    ...(random.chance(0.4) ? { chunks } : {}),
    ...(random.chance(0.2) ? { compression: 'none' } : {}),
  };
}

function makeFile(maker: Maker): FileSpec {
  const { random } = maker;
  const { content, ...how } = contentOf(maker);
  return file(content, {
    ...how,
    ...attributes(maker),
    mode: random.pick([0o644, 0o755, 0o444, 0o4755, 0o664]),
    ...(random.chance(0.2) ? { xattrs: xattrs(random) } : {}),
  });
}

function makeTarget({ random, names }: Maker): ByteString {
  const up = '../'.repeat(random.below(3));
  const rest = Array.from({ length: 1 + random.below(2) }, () => random.pick(names)).join('/');
  return random.chance(0.05) ? '.' : `${up}${rest}`;
}

function makeDirectory(maker: Maker, depth: number): DirectorySpec {
  const { random, names } = maker;
  const entries: Record<ByteString, EntrySpec> = {};
  const count = random.chance(0.1) ? 0 : random.below(depth === 0 ? 20 : 9);
  for (let index = 0; index < count; index++) entries[random.pick(names)] = makeEntry(maker, depth);
  if (random.chance(0.2)) {
    const one = { ...makeFile(maker), linkGroup: 1 + random.below(1000) };
    for (const name of [random.pick(names), random.pick(names), random.pick(names)]) {
      entries[name] = one;
    }
  }
  // Not writable for all and sticky: there protected_symlinks (proc_sys_fs(5)) may forbid following.
  const mode = random.pick([0o755, 0o755, 0o555, 0o1775, 0o775]);
  const own = { ...attributes(maker), mode };
  return random.chance(0.3) ? nestedWith(entries, own) : directory(entries, own);
}

/** The file that marks a nested catalog needs a time of its own: otherwise it has the revision's. */
function nestedWith(
  entries: DirectorySpec['entries'],
  own: Parameters<typeof nested>[1],
): DirectorySpec {
  return nested({ '.cvmfscatalog': file('', { mtime: 1_400_000_000 }), ...entries }, own);
}

/** Something new that is to stand in a directory of this depth. */
export function makeEntry(maker: Maker, depth: number): EntrySpec {
  const { random } = maker;
  const kind = random.below(100);
  if (kind < 24 && depth < deepest) return makeDirectory(maker, depth + 1);
  if (kind < 40) {
    const { mtime, ...rest } = attributes(maker);
    return symlink(makeTarget(maker), { mtime, ...rest });
  }
  if (kind < 44) {
    const type = random.pick(['fifo', 'socket', 'character'] as const);
    return special(type, {
      ...attributes(maker),
      mode: 0o666,
      ...(type === 'character' ? { rdev: 0x103 } : {}),
    });
  }
  return makeFile(maker);
}

/** A whole tree, with something in it whatever the seed. */
export function makeRoot(maker: Maker): DirectorySpec {
  const { random, names } = maker;
  const entries: Record<ByteString, EntrySpec> = {};
  for (const name of names) {
    if (random.chance(0.6)) entries[name] = makeEntry(maker, 0);
  }
  entries['name0'] = makeDirectory(maker, 0);
  return directory(entries, { mtime: 1_500_000_000, mode: 0o755 });
}

/** An entry and the directories above it, the root first. */
export interface Place {
  /** `/a/b`; empty for the root. */
  readonly path: ByteString;
  readonly entry: EntrySpec;
  readonly depth: number;
}

export function allPlaces(root: DirectorySpec): Place[] {
  const found: Place[] = [];
  const visit = (path: ByteString, entry: EntrySpec, depth: number): void => {
    found.push({ path, entry, depth });
    if (entry.type !== 'directory') return;
    for (const [name, child] of Object.entries(entry.entries)) {
      visit(`${path}/${name}`, child, depth + 1);
    }
  };
  visit('', root, 0);
  return found;
}

/** The same tree with another entry, or none, at a path. */
export function put(
  root: DirectorySpec,
  path: ByteString,
  entry: EntrySpec | undefined,
): DirectorySpec {
  const [name = '', ...below] = path.slice(1).split('/');
  const entries: Record<ByteString, EntrySpec> = { ...root.entries };
  const there = entries[name];
  if (below.length > 0) {
    if (there?.type !== 'directory') throw new Error(`no directory at ${path}`);
    entries[name] = put(there, `/${below.join('/')}`, entry);
  } else if (entry === undefined) Reflect.deleteProperty(entries, name);
  else entries[name] = entry;
  return { ...root, entries };
}

/** What is no longer one of several names of a file. */
function alone<T extends EntrySpec>(entry: T): T {
  // What is left out is optional in every one of them.
  return without(entry, 'linkGroup') as T;
}

export function without<T extends object, K extends keyof T>(from: T, ...names: K[]): Omit<T, K> {
  const left = { ...from };
  for (const name of names) Reflect.deleteProperty(left, name);
  return left;
}

function changed(maker: Maker, { entry, depth }: Place): EntrySpec {
  const { random } = maker;
  const kind = random.below(10);
  if (kind === 0) return makeEntry(maker, Math.max(0, depth - 1));
  if (kind === 1) return { ...alone(entry), ...attributes(maker) };
  switch (entry.type) {
    case 'file': {
      const single = alone(entry);
      // Of the same length, with the same time: only the pages could tell.
      if (kind <= 3) return { ...single, content: noise(random, single.content.length) };
      if (kind <= 5) {
        const content = Buffer.from(single.content);
        return random.chance(0.5)
          ? { ...single, content: content.subarray(0, random.below(content.length + 1)) }
          : {
              ...single,
              content: Buffer.concat([content, noise(random, 1 + random.below(9000))]),
            };
      }
      if (kind === 6) return { ...single, mode: random.pick([0o644, 0o755, 0o444]) };
      if (kind === 7) return { ...single, xattrs: xattrs(random) };
      return { ...without(single, 'chunks', 'compression'), ...contentOf(maker) };
    }
    case 'symlink':
      return { ...entry, target: makeTarget(maker) };
    case 'directory': {
      const plain = without(entry, 'nested');
      if (kind <= 4) {
        if (entry.nested !== true) return nestedWith(entry.entries, plain);
        return { ...plain, entries: without(entry.entries, '.cvmfscatalog') };
      }
      return kind <= 6 ? { ...entry, mode: random.pick([0o755, 0o555]) } : makeDirectory(maker, 3);
    }
    case 'fifo':
    case 'socket':
    case 'character':
    case 'block':
    case 'bind':
      return makeEntry(maker, Math.max(0, depth - 1));
  }
}

export interface Mutation {
  readonly root: DirectorySpec;
  /** Paths at which something is different now. */
  readonly touched: readonly ByteString[];
}

/** Adds, removes, renames or changes something. */
export function mutate(maker: Maker, root: DirectorySpec): Mutation {
  const { random, names } = maker;
  const places = allPlaces(root).filter(({ path }) => !path.endsWith('.cvmfscatalog'));
  const below = places.filter(({ path }) => path !== '');
  const directories = places.filter(({ entry, depth }) => isDirectory(entry) && depth <= deepest);
  const into = random.pick(directories);
  const target = `${into.path}/${random.pick(names)}`;
  const kind = below.length < 10 ? 0 : random.below(10);
  if (kind <= 1) {
    return { root: put(root, target, makeEntry(maker, into.depth)), touched: [target] };
  }
  const chosen = random.pick(below);
  const { path } = chosen;
  if (kind === 2) return { root: put(root, path, undefined), touched: [path] };
  // Not into itself, nor over one of the directories that it stands in.
  const movable = !`${target}/`.startsWith(`${path}/`) && !path.startsWith(`${target}/`);
  const fits = chosen.entry.type !== 'directory' || into.depth + 2 <= deepest;
  if (kind <= 4 && movable && fits) {
    const moved = put(put(root, path, undefined), target, alone(chosen.entry));
    return { root: moved, touched: [path, target] };
  }
  if (kind === 5) {
    return { root: { ...root, mtime: 1_500_000_000 + random.below(1e8) }, touched: [''] };
  }
  return { root: put(root, path, changed(maker, chosen)), touched: [path] };
}

function isDirectory(entry: EntrySpec): entry is DirectorySpec {
  return entry.type === 'directory';
}
