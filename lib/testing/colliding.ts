import { inodeOfDigest, pathDigest } from '../format/path-hash.js';

/** Two names, in these directories, whose inode numbers of 63 bits have the same lower word. */
export function collidingNames(left: string, right: string): readonly [string, string] {
  const known = new Map<number, string>();
  // Of two times so many, two or three pairs collide.
  for (let at = 0; at < 150_000; at++) known.set(lowerWord(`${left}/l${at}`), `l${at}`);
  for (let at = 0; at < 2_000_000; at++) {
    const found = known.get(lowerWord(`${right}/r${at}`));
    if (found !== undefined) return [found, `r${at}`];
  }
  throw new Error('no names collide');
}

/** The lower word of a path's inode number. */
export function lowerWord(path: string): number {
  return Number(BigInt.asUintN(32, inodeOfDigest(pathDigest(path))));
}
