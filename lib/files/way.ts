import { lstatSync, statSync, type Stats } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { isTrusted, othersMayWrite } from './owners.js';

const stickyBit = 0o1000;
/** More than fit into a path (PATH_MAX), each with a name of one letter. */
const depthMax = 2048;

/**
 * Why somebody else could put another directory in the place of this one: each directory above it has to
 * be ours or root's, and, where others may write to it, sticky. Climbs by `..` from the directory itself, so
 * that names which others change meanwhile don't matter.
 * @param at a path that leads to it, such as `/proc/self/fd/N`.
 * @param real what its path is, for the answer.
 * @returns undefined if nobody can. @throws errors of the file system.
 */
export function wayProblem(at: string, real: string): string | undefined {
  return climb(at, real, statSync(at), undefined);
}

/**
 * Likewise by the names of a path without links, which is sooner. The highest directory in which others may change a
 * name is found by names that nobody else can change, so that it makes no difference what they make of those below.
 */
export function namesProblem(path: string): string | undefined {
  let problem: string | undefined;
  for (let name = path; name !== dirname(name);) {
    name = dirname(name);
    const status = statSync(name);
    if (!isTrusted(status)) return foreign(name, status);
    problem = problemOf(status, name, problem);
  }
  return problem;
}

/** Likewise for what is still to be made in a directory: that one counts as well. */
export function roomProblem(directory: string): string | undefined {
  const status = statSync(directory);
  if (!isTrusted(status)) return foreign(directory, status);
  return climb(directory, directory, status, problemOf(status, directory, undefined));
}

function climb(at: string, real: string, from: Stats, found: string | undefined) {
  let below = from;
  let problem = found;
  let path = at;
  let name = real;
  for (let depth = 0; depth < depthMax; depth++) {
    path += '/..';
    name = dirname(name);
    const status = statSync(path);
    if (status.ino === below.ino && status.dev === below.dev) return problem;
    if (!isTrusted(status)) return foreign(name, status);
    problem = problemOf(status, name, problem);
    below = status;
  }
  return `${real} lies too deep`;
}

function foreign(name: string, { uid }: Stats): string {
  return `${name} belongs to another user (uid ${uid})`;
}

function problemOf(status: Stats, name: string, below: string | undefined): string | undefined {
  // Nobody else gets below a directory that others can't search.
  if ((status.mode & 0o011) === 0) return undefined;
  const open = othersMayWrite(status) && (status.mode & stickyBit) === 0;
  return open ? `others may write to ${name}` : below;
}

/** Why a path is not to be followed: a link in it that another user made. */
export function linkProblem(path: string): string | undefined {
  const names = path.split(sep).filter((name) => name !== '');
  for (let count = 1; count <= names.length; count++) {
    const part = join(sep, ...names.slice(0, count));
    const status = lstatSync(part, { throwIfNoEntry: false });
    if (status === undefined) return undefined;
    if (status.isSymbolicLink() && !isTrusted(status)) {
      return `${part} is a link that another user made (uid ${status.uid})`;
    }
  }
  return undefined;
}
