import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { commitsToJudge, silentCommits } from './changelog.js';

interface Repository {
  readonly root: string;
  readonly git: (...args: string[]) => void;
  readonly commit: (message: string, ...paths: string[]) => void;
}

let counter = 0;

function repository(t: Test): Repository {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-changelog-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const root = join(work, 'repository');
  mkdirSync(root);
  const git = (...args: string[]): void => {
    const who = ['-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'tag.gpgSign=false'];
    execFileSync('git', [...who, ...args], { cwd: root, stdio: 'ignore' });
  };
  git('init', '-b', 'work');
  const commit: Repository['commit'] = (message, ...paths) => {
    for (const path of paths) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), String((counter += 1)));
    }
    git('add', '-A');
    git('commit', '--no-gpg-sign', '-m', message);
  };
  return { root, git, commit };
}

const silent = (root: string): string[] | undefined => {
  const commits = commitsToJudge(root);
  return commits && silentCommits(commits).map(({ subject }) => subject);
};

t.test('who must say something', (t) => {
  const { root, git, commit } = repository(t);
  commit('first', 'lib/a.ts');
  commit('before the rule', 'lib/a.ts');
  commit('the rule', 'tools/changelog.ts', 'lib/a.ts');
  t.same(silent(root), []);
  commit('told', 'lib/a.ts', 'CHANGELOG.md');
  commit('a refactoring\n\nIt is simpler.\n\nChangelog: none', 'lib/store/a.ts');
  commit('tests', 'lib/a.test.ts', 'lib/testing/a.ts', 'native-test/a.ts', 'README.md');
  commit('a name that looks otherwise', 'lib/é\n.md');
  t.same(silent(root), []);
  commit('untold', 'README.md', 'bin/commands/a.ts');
  commit('a body that speaks of it\n\nChangelog: none is what I do not say.', 'lib/a.ts');
  t.same(silent(root), ['a body that speaks of it', 'untold']);
  git('tag', 'v1');
  t.same(silent(root), [], 'since the last tag');
  commit('after the tag', 'lib/a.ts');
  git('update-ref', 'refs/remotes/origin/main', 'HEAD~2');
  t.same(silent(root), ['after the tag', 'a body that speaks of it'], 'what origin has not');
  git('update-ref', 'refs/remotes/origin/main', 'HEAD');
  t.same(silent(root), ['after the tag'], 'all of it is there: since the tag');
  t.end();
});

t.test('a shallow clone, and no clone', (t) => {
  const { root, commit } = repository(t);
  commit('first', 'lib/a.ts');
  commit('the rule', 'tools/changelog.ts');
  commit('untold', 'lib/a.ts');
  commit('the last', 'lib/b.ts');
  for (const [depth, expected] of [
    [1, []],
    [2, ['the last']],
    [3, ['the last', 'untold']],
  ] as const) {
    const clone = join(root, '..', `clone-${depth}`);
    const args = ['clone', '-q', `--depth=${depth}`, '-b', 'work', `file://${root}`, clone];
    execFileSync('git', args, { stdio: 'ignore' });
    t.same(silent(clone), expected, `depth ${depth}`);
  }
  const bare = mkdtempSync(join(tmpdir(), 'pinfs-no-git-'));
  t.teardown(() => rmSync(bare, { recursive: true, force: true }));
  t.equal(silent(bare), undefined);
  t.end();
});
