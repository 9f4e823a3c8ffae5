import { seededRandom } from '../laboratory/random.js';
import {
  directory,
  file,
  nested,
  symlink,
  type EntrySpec,
  type TreeSpec,
} from '../publish/spec.js';

export { seededRandom };

export interface TreeSize {
  readonly files: number;
  readonly directories: number;
  readonly nestedCatalogs: number;
  /** The same seed gives the same tree. */
  readonly seed: number;
  /** Number of distinct contents (default: each file its own). */
  readonly contents?: number;
  /** Mean size of a file (bytes; default 8 KiB). */
  readonly meanSize?: number;
  /** Of each 64 bytes so many are noise, a multiple of 4 (default 32, which compresses to about half). */
  readonly noiseBytes?: number;
}

/**
 * A large tree as software is installed: directories up to five deep, some of them nested catalogs,
 * files of uneven sizes that compress to about half or as told, a link here and there.
 */
export function makeTree(size: TreeSize): TreeSpec {
  const random = seededRandom(size.seed);
  const contents = makeContents(size, random);
  const root: Folder = { entries: {}, depth: 0, nested: false };
  const folders = [root];
  for (let index = 0; index < size.directories; index++) {
    const parent = pick(folders, random);
    const into = parent.depth >= 5 ? root : parent;
    const child: Folder = { entries: {}, depth: into.depth + 1, nested: false };
    into.entries[`dir${index}`] = child;
    folders.push(child);
  }
  const candidates = folders.slice(1);
  for (let count = Math.min(size.nestedCatalogs, candidates.length); count > 0; count--) {
    const [chosen] = candidates.splice(Math.floor(random() * candidates.length), 1);
    if (chosen !== undefined) chosen.nested = true;
  }
  for (let index = 0; index < size.files; index++) {
    const mode = random() < 0.1 ? 0o755 : 0o644;
    const content = contents[index % contents.length] ?? Buffer.alloc(0);
    pick(folders, random).entries[`file${index}.dat`] = file(content, { mode });
    if (index % 50 === 49) {
      pick(folders, random).entries[`link${index}`] = symlink(`file${index}.dat`);
    }
  }
  return finish(root);
}

interface Folder {
  readonly entries: Record<string, EntrySpec | Folder>;
  readonly depth: number;
  nested: boolean;
}

function finish(folder: Folder): TreeSpec {
  const entries: Record<string, EntrySpec> = {};
  for (const [name, entry] of Object.entries(folder.entries)) {
    if ('type' in entry) entries[name] = entry;
    else entries[name] = entry.nested ? nested(finish(entry)) : directory(finish(entry));
  }
  return entries;
}

function pick<T>(from: readonly T[], random: () => number): T {
  const chosen = from[Math.floor(random() * from.length)];
  if (chosen === undefined) throw new Error('nothing to pick from');
  return chosen;
}

function makeContents(size: TreeSize, random: () => number): Buffer[] {
  const mean = size.meanSize ?? 8192;
  const count = Math.max(1, Math.min(size.files, size.contents ?? size.files));
  return Array.from({ length: count }, (_, index) => {
    // Many small ones, few large ones: an exponential distribution.
    const length = Math.round(-Math.log(1 - random()) * mean);
    return makeContent(index, length, size.noiseBytes ?? 32, random);
  });
}

/** Text that differs from file to file and of which a part is noise. */
export function makeContent(
  index: number,
  length: number,
  noiseBytes: number,
  random: () => number,
): Buffer {
  const bytes = Buffer.alloc(length, `content ${index} of a made file\n`);
  for (let at = 0; at + 64 <= length; at += 64) {
    for (let offset = 0; offset < noiseBytes; offset += 4) {
      bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at + offset);
    }
  }
  return bytes;
}
