import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fixtureKey, fixtures, script, type CliResult } from '../native-test/cli.js';
import { needsRoot } from '../native-test/machine.js';

// A user ID that has no name and no home, as in a container.

const uid = 54_321;
const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;

interface Place {
  readonly work: string;
  readonly temporary: string;
  readonly standing: string;
  readonly run: (env: Record<string, string>, ...args: string[]) => Promise<CliResult>;
}

function place(t: Test): Place {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-homeless-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  chmodSync(work, 0o755);
  const standing = join(work, 'standing');
  const temporary = join(work, 'temporary');
  for (const directory of [standing, temporary]) mkdirSync(directory);
  chownSync(standing, uid, uid);
  chmodSync(temporary, 0o1777);
  const run = (env: Record<string, string>, ...args: string[]): Promise<CliResult> =>
    new Promise((resolve) => {
      const options = {
        uid,
        gid: uid,
        cwd: standing,
        env: { PATH: process.env['PATH'], TMPDIR: temporary, ...env },
        timeout: 60_000,
      };
      execFile(process.execPath, [script, ...args], options, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr });
      });
    });
  return { work, temporary, standing, run };
}

void t.test('a user with no name and no home', { ...needsRoot, timeout: 180_000 }, async (t) => {
  const { work, temporary, standing, run } = place(t);
  const first = await run({}, '--version');
  if (first.code !== 0) {
    t.comment(`another user can't run it here: ${first.stderr}`);
    return;
  }
  const key = join(work, 'key.pub');
  copyFileSync(fixtureKey, key);
  chmodSync(key, 0o644);
  const environments: Record<string, string>[] = [
    {},
    { HOME: '' },
    { HOME: 'relative' },
    { HOME: '/', XDG_CACHE_HOME: 'x' },
  ];
  for (const env of environments) {
    const name = JSON.stringify(env);
    const read = await run(env, 'cat', '--key', key, source, '/README.md');
    t.equal(read.code, 0, `${name} ${read.stderr}`);
    const { code, stdout } = await run(env, 'cache', 'size', '--json');
    t.equal(code, 0);
    const { directory, objects } = JSON.parse(stdout) as { directory: string; objects: number };
    t.equal(directory, join(temporary, `pinfs-${uid}`, 'cache'), name);
    t.ok(objects > 0);
    for (const command of [['status'], ['forget', 'x.example.org'], ['umount', standing]]) {
      const { stderr } = await run(env, ...command);
      t.notMatch(stderr, /INTERNAL| at /, `${command.join(' ')} ${name}`);
    }
  }
  t.same(readdirSync(standing), [], 'nothing lies where we stood');
});

void t.test('where there is no safe place, that is said', needsRoot, async (t) => {
  const { temporary, work, run } = place(t);
  // Somebody else was there before.
  mkdirSync(join(temporary, `pinfs-${uid}`));
  chmodSync(join(temporary, `pinfs-${uid}`), 0o777);
  rmSync(`/tmp/pinfs-${uid}`, { recursive: true, force: true });
  mkdirSync(`/tmp/pinfs-${uid}`);
  t.teardown(() => rmSync(`/tmp/pinfs-${uid}`, { recursive: true, force: true }));
  const { code, stdout } = await run({}, 'ls', '--json', source);
  t.equal(code, 1);
  t.match(JSON.parse(stdout), {
    error: { code: 'CACHE_UNUSABLE', message: /owned by another user/, advice: /HOME.*--cache/ },
  });
  const closed = join(work, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const unreachable = await run({ HOME: closed }, 'forget', '--json', 'x.example.org');
  t.match(JSON.parse(unreachable.stdout), { error: { code: 'STATE_UNUSABLE' } });
});
