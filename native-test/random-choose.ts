import type { ByteString } from '../lib/format/bytes.js';
import type { DirectorySpec } from '../lib/publish/write-repository.js';
import type { Operation } from './random-client.js';
import { allPlaces, type Place, type Random } from './random-model.js';

/** Where operations may go. */
export interface Ground {
  readonly root: DirectorySpec;
  readonly places: readonly Place[];
  /** Paths at which something was, or has changed lately. */
  readonly interesting: readonly ByteString[];
  readonly names: readonly ByteString[];
}

export function groundOf(
  root: DirectorySpec,
  interesting: readonly ByteString[],
  names: readonly ByteString[],
): Ground {
  return { root, places: allPlaces(root), interesting, names };
}

type Filter = (place: Place) => boolean;

const isFile: Filter = ({ entry }) => entry.type === 'file';
const isDirectory: Filter = ({ entry }) => entry.type === 'directory';
const isLink: Filter = ({ entry }) => entry.type === 'symlink';

/** A path: mostly of something, sometimes of nothing, or through what is no directory. */
function choosePath(random: Random, ground: Ground, wanted: Filter = () => true): ByteString {
  const { places, interesting, names } = ground;
  const kind = random.below(100);
  if (kind < 25 && interesting.length > 0) return random.pick(interesting);
  if (kind < 30) {
    const above = random.pick(places).path;
    return `${above}/${random.pick([...names, 'absent', 'x'.repeat(256)])}`;
  }
  if (kind < 40) {
    const links = places.filter(isLink);
    const below = random.chance(0.5) ? '' : `/${random.pick(names)}`;
    if (links.length > 0) return `${random.pick(links).path}${below}`;
  }
  const fitting = places.filter(wanted);
  const { path } = random.pick(fitting.length > 0 ? fitting : places);
  return random.chance(0.05) ? `${path}/.` : path;
}

/** Where to begin in a file: anywhere, or near a border of its chunks, its pages or its end. */
function choosePosition(random: Random, ground: Ground, path: ByteString): number {
  const entry = ground.places.find((place) => place.path === path)?.entry;
  if (entry?.type !== 'file') return random.below(10_000);
  const size = entry.content.length;
  if (random.chance(0.3)) return random.below(size + 100);
  const borders = [0, size, Math.floor(size / 4096) * 4096];
  for (let end = 0, index = 0; entry.chunks !== undefined && end < size; index++) {
    end += entry.chunks[Math.min(index, entry.chunks.length - 1)] ?? size;
    borders.push(end);
  }
  return Math.max(0, random.pick(borders) + random.pick([-4097, -100, -1, 0, 0, 1]));
}

function chooseRange(random: Random, ground: Ground) {
  const path = choosePath(random, ground, isFile);
  const length = random.pick([1, 2, 100, 4096, 5000, 70_000, 300_000]);
  return { path, position: choosePosition(random, ground, path), length };
}

const bufferSizes = [300, 400, 1000, 4096, 32_768];

/** One operation that needs no handle. */
export function chooseOperation(random: Random, ground: Ground): Operation {
  const kind = random.below(100);
  const size = random.pick(bufferSizes);
  if (kind < 20) return { op: 'lstat', path: choosePath(random, ground) };
  if (kind < 30) return { op: 'stat', path: choosePath(random, ground) };
  if (kind < 40) return { op: 'list', path: choosePath(random, ground, isDirectory), size };
  if (kind < 46) {
    const places = [random.below(1000), random.below(1000), 0];
    return { op: 'seek', path: choosePath(random, ground, isDirectory), size, places };
  }
  if (kind < 62) return { op: 'read', ...chooseRange(random, ground) };
  if (kind < 66) return { op: 'direct', ...chooseRange(random, ground) };
  if (kind < 74) return { op: 'map', ...chooseRange(random, ground) };
  if (kind < 82) {
    const step = random.pick([1000, 4096, 65_536, 1_048_576]);
    return { op: 'whole', path: choosePath(random, ground, isFile), step };
  }
  if (kind < 89) return { op: 'readlink', path: choosePath(random, ground, isLink) };
  if (kind < 95) return { op: 'xattrs', path: choosePath(random, ground) };
  if (kind < 96) return { op: 'statfs' };
  // Each of these starts a program.
  if (kind < 97) return { op: 'dd', ...chooseRange(random, ground) };
  if (kind < 98) {
    const path = choosePath(random, ground, isFile);
    return { op: 'compare', path, other: choosePath(random, ground, isFile) };
  }
  return { op: 'dropPages', path: choosePath(random, ground, isFile) };
}

export function chooseHandlePath(random: Random, ground: Ground, directory: boolean): ByteString {
  return choosePath(random, ground, directory ? isDirectory : isFile);
}
