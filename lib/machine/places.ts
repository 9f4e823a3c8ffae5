import { lstatSync, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { linkProblem, wayProblem } from '../files/way.js';
import { errorReason } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';

/**
 * Where directories lie: one rule for all that asks. A variable that is empty or relative counts as
 * unset (XDG base directory specification), so that nothing ever depends on the working directory.
 */
export type Variables = Readonly<Record<string, string | undefined>>;

/** The kinds of directory that belong to a user, with their place below his home. */
const belowHome = {
  XDG_CACHE_HOME: '.cache',
  XDG_CONFIG_HOME: '.config',
  XDG_STATE_HOME: '.local/state',
} as const;

export type UserDirectory = keyof typeof belowHome;

/** An absolute path in a variable; undefined for any other value. */
export function absoluteVariable(variables: Variables, name: string): string | undefined {
  const value = variables[name];
  return value?.startsWith('/') === true && !value.includes('\0') ? value : undefined;
}

/** The base directory of a kind; undefined: this user has no home either. */
export function userDirectory(
  kind: UserDirectory,
  variables: Variables,
  passwordHome: () => string | undefined = homeOfUser,
): string | undefined {
  const given = absoluteVariable(variables, kind);
  if (given !== undefined) return given;
  const home = homeDirectory(variables, passwordHome);
  return home === undefined ? undefined : join(home, belowHome[kind]);
}

/** The home of this user; undefined: he has none. */
export function homeDirectory(
  variables: Variables,
  passwordHome: () => string | undefined = homeOfUser,
): string | undefined {
  const home = homeVariable(variables) ?? passwordHome();
  // The root directory is what a container gives to a user without a name.
  return home !== '/' || process.getuid?.() === 0 ? home : undefined;
}

/** mount.fuse3 says HOME=/root to whomever mount(8) calls it for, also to users (`user` in fstab). */
function homeVariable(variables: Variables): string | undefined {
  const home = absoluteVariable(variables, 'HOME');
  return home === '/root' && process.getuid?.() !== 0 ? undefined : home;
}

/** What the user database says; a user ID without a name has no home. */
function homeOfUser(): string | undefined {
  try {
    const { homedir } = userInfo();
    return homedir.startsWith('/') ? homedir : undefined;
  } catch {
    return undefined;
  }
}

/** For what need not outlive this run. */
export function temporaryDirectory(variables: Variables = process.env): string {
  return absoluteVariable(variables, 'TMPDIR') ?? '/tmp';
}

/** A directory of a user's own where everybody may write, as long as `privateDirectory` likes it. */
export function temporaryCandidates(variables: Variables, uid: number): readonly string[] {
  const parents = [temporaryDirectory(variables), '/tmp'];
  return [...new Set(parents)].map((parent) => join(parent, `pinfs-${uid}`));
}

export interface PrivateDirectory {
  /** The first that is safe; made if need be. */
  readonly place: string | undefined;
  /** What is wrong with those before it, or with all. */
  readonly problems: readonly string[];
}

/** Makes or finds a directory that is ours, open to nobody else, and that nobody else can take away. */
export function privateDirectory(places: readonly string[], uid: number): PrivateDirectory {
  const problems: string[] = [];
  for (const place of places) {
    const problem = makeOnce(place) ?? directoryProblem(place, uid);
    if (problem === undefined) return { place, problems };
    problems.push(`${place}: ${problem}`);
  }
  return { place: undefined, problems };
}

function makeOnce(place: string): string | undefined {
  try {
    mkdirSync(place, { mode: 0o700 });
    return undefined;
  } catch (thrown) {
    const code = errorReason(thrown);
    return code === 'EEXIST' ? undefined : code;
  }
}

/** Why a directory is not safe to put something private into; undefined: it is. */
export function directoryProblem(place: string, uid: number): string | undefined {
  try {
    const found = lstatSync(place);
    if (!found.isDirectory()) return 'not a directory';
    if (found.uid !== uid) return `owned by another user (${found.uid})`;
    if ((found.mode & 0o077) !== 0) return 'open to others';
    const problem = linkProblem(place) ?? wayProblem(place, place);
    return problem === undefined
      ? undefined
      : `others may put another one in its place: ${problem}`;
  } catch (thrown) {
    return errorReason(thrown);
  }
}

/**
 * Where a user's cache or state lies: by XDG, and without a home in a private directory where
 * everybody may write, which is gone with the next boot.
 * @throws PinfsError CACHE_UNUSABLE, STATE_UNUSABLE if there is no safe place.
 */
export function dataDirectory(kind: 'cache' | 'state', variables: Variables): string {
  const name = kind === 'cache' ? 'XDG_CACHE_HOME' : 'XDG_STATE_HOME';
  const base = userDirectory(name, variables);
  if (base !== undefined) return join(base, 'pinfs');
  const uid = process.getuid?.() ?? 0;
  const { place, problems } = privateDirectory(temporaryCandidates(variables, uid), uid);
  if (place !== undefined) return join(place, kind);
  const code = kind === 'cache' ? 'CACHE_UNUSABLE' : 'STATE_UNUSABLE';
  throw new PinfsError(
    code,
    `there is no place for the ${kind}: user ${uid} has no home directory (${problems.join('; ')})`,
    { advice: `Set HOME or ${name} to a directory of your own, or give --cache DIR.` },
  );
}
