import { mkdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UnsafeDirectory } from './held.js';
import { linkProblem, roomProblem } from './way.js';

/**
 * Makes a directory, and those above it that are lacking, for nobody but us. (`recursive` of Node's mkdir never
 * ends where the file system says ENOENT for a directory that can't be made, as /proc does.)
 * @throws UnsafeDirectory where others could put something else in their place; errors of the file system.
 */
export function makeDirectories(path: string): void {
  const missing: string[] = [];
  let existing = resolve(path);
  while (statSync(existing, { throwIfNoEntry: false }) === undefined) {
    missing.push(existing);
    if (dirname(existing) === existing) break;
    existing = dirname(existing);
  }
  if (missing.length === 0) return;
  const problem = linkProblem(existing) ?? roomProblem(realpathSync(existing));
  if (problem !== undefined) throw new UnsafeDirectory(`others could replace it: ${problem}`);
  for (const directory of missing.reverse()) makeDirectory(directory);
}

/** Makes a directory unless it is there. @throws errors of the file system; EEXIST where something else lies there. */
export function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (thrown) {
    const isThere = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isThere) throw thrown;
  }
}
