/**
 * Every commit that changes what users run has a line in CHANGELOG.md, or says with the trailer
 * `Changelog: none` that a user sees nothing of it (a refactoring). Looks at the commits of this branch that
 * `origin/main` does not have; else at those since the last tag; else at those since this rule is there.
 * No network, and in a shallow clone what is not there is not judged.
 */
import { execFileSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { checkout } from '../lib/testing/genuine.js';

export interface Commit {
  readonly id: string;
  readonly subject: string;
  /** Values of the trailer `Changelog`. */
  readonly trailers: readonly string[];
  readonly paths: readonly string[];
}

/** Commits that touch what users run, and say nothing of it. */
export function silentCommits(commits: readonly Commit[]): Commit[] {
  return commits.filter(
    ({ paths, trailers }) =>
      paths.some(isUsed) &&
      !paths.includes('CHANGELOG.md') &&
      !trailers.some((value) => value.toLowerCase() === 'none'),
  );
}

function isUsed(path: string): boolean {
  return /^(bin|lib)\/.*\.ts$/.test(path) && !/\.test\.ts$|^lib\/testing\//.test(path);
}

/** The commits to look at, newest first; undefined: this is no git checkout. */
export function commitsToJudge(directory: string): Commit[] | undefined {
  const git = (...args: string[]): string | undefined => {
    try {
      const options = { cwd: directory, encoding: 'utf8', maxBuffer: 2 ** 28 } as const;
      return execFileSync('git', args, { ...options, stdio: ['ignore', 'pipe', 'ignore'] });
    } catch {
      return undefined;
    }
  };
  const line = (...args: string[]): string | undefined => git(...args)?.trim() || undefined;
  const head = line('rev-parse', 'HEAD');
  if (head === undefined) return undefined;
  const pushed = line('rev-parse', '--verify', '--quiet', 'origin/main');
  const rule = ['log', '--format=%H', '--diff-filter=A', '--', 'tools/changelog.ts'];
  const from =
    (pushed === head ? undefined : pushed) ??
    line('describe', '--tags', '--abbrev=0') ??
    git(...rule)
      ?.trim()
      .split('\n')
      .at(-1);
  // Fields end with NUL; a commit at the edge of a shallow clone looks as if it had no parents.
  const format = '--format=%x01%H%x00%s%x00%(trailers:key=Changelog,valueonly,separator=%x2C)%x00';
  const range = from === undefined || from === '' ? 'HEAD' : `${from}..HEAD`;
  const text = git('log', '-z', '--name-only', '--no-merges', '--min-parents=1', format, range);
  return (text ?? '')
    .split('\x01')
    .slice(1)
    .map((record) => {
      const [id = '', subject = '', trailers = '', ...paths] = record.split('\0');
      return {
        id,
        subject,
        trailers: trailers.split(',').map((value) => value.trim()),
        paths: paths.map((path) => path.trim()).filter((path) => path !== ''),
      };
    });
}

function main(): void {
  const commits = commitsToJudge(checkout);
  if (commits === undefined) {
    console.log('not a git checkout: no commits to look at');
    return;
  }
  const silent = silentCommits(commits);
  for (const { id, subject } of silent) console.log(`${id.slice(0, 10)} ${subject}`);
  console.log(`${commits.length} commits, ${silent.length} of them say nothing in CHANGELOG.md`);
  if (silent.length === 0) return;
  console.log('Add a line, or the trailer `Changelog: none` where a user sees nothing of it.');
  process.exitCode = 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) main();
