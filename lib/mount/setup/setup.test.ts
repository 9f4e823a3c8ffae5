import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkout } from '../../testing/genuine.js';
import { temporaryDirectory } from '../../testing/fakes/stub-mount.js';
import { withProgram } from './files.js';
import { carryOut, planSetup, planUndo, type SetupParts } from './setup.js';

const share = join(checkout, 'share');

function place(t: Test): SetupParts & { readonly root: string } {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  return { share, root: path, program: undefined };
}

const actions = (planned: ReturnType<typeof planSetup>) => planned.map(({ step }) => step.action);

t.test('what is written is taken back, and nothing else', (t) => {
  const parts = place(t);
  mkdirSync(join(parts.root, 'etc'));
  carryOut(planSetup(parts));
  const helper = join(parts.root, 'sbin/mount.pinfs');
  t.equal(statSync(helper).mode & 0o777, 0o755);
  t.match(readFileSync(helper, 'utf8'), /^#!\/bin\/sh\n# Written by pinfs setup/);
  t.same(actions(planSetup(parts)), ['none', 'none', 'none', 'none'], 'a second time');
  const newer = { ...parts, program: { node: '/usr/bin/node', script: '/opt/p/pinfs.js' } };
  t.same(actions(planSetup(newer)), ['replace', 'replace', 'none', 'none'], 'of another pinfs');
  carryOut(planSetup(newer));
  t.match(readFileSync(helper, 'utf8'), "exec '/usr/bin/node' '/opt/p/pinfs.js' mount");
  carryOut(planUndo(newer));
  t.same(readdirSync(parts.root, { recursive: true }), ['etc'], 'what was there stays');
  t.same(actions(planUndo(parts)), ['none', 'none', 'none', 'none']);
  t.end();
});

t.test('what is not ours, or was changed, is never touched', (t) => {
  const parts = place(t);
  const map = join(parts.root, 'etc/auto.pinfs');
  mkdirSync(join(parts.root, 'etc'));
  symlinkSync('/etc/passwd', map);
  t.throws(
    () => {
      carryOut(planSetup(parts));
    },
    { code: 'SETUP_REFUSED', message: /auto\.pinfs: it is there/ },
  );
  t.same(readdirSync(parts.root), ['etc'], 'nothing was done');
  rmSync(map);
  carryOut(planSetup(parts));
  appendFileSync(map, '# mine\n');
  for (const plan of [planSetup, planUndo])
    t.throws(
      () => {
        carryOut(plan(parts));
      },
      { code: 'SETUP_REFUSED', message: /somebody has changed it/ },
    );
  t.match(readFileSync(map, 'utf8'), /# mine\n$/);
  t.end();
});

t.test('another map for /cvmfs stays the only one', (t) => {
  const parts = place(t);
  mkdirSync(join(parts.root, 'etc/auto.master.d'), { recursive: true });
  writeFileSync(join(parts.root, 'etc/auto.master.d/cvmfs.autofs'), '/cvmfs /etc/auto.cvmfs\n');
  t.match(planSetup(parts)[3]?.step, { action: 'skip', reason: /cvmfs\.autofs$/ });
  carryOut(planSetup(parts));
  t.same(readdirSync(join(parts.root, 'etc/auto.master.d')), ['cvmfs.autofs']);
  t.end();
});

t.test('a program in a strange place is called by its whole path', (t) => {
  const program = { node: "/a b/it's", script: '/c%d/$e"f' };
  t.equal(withProgram('exec pinfs mount', program), `exec '/a b/it'\\''s' '/c%d/$e"f' mount`);
  t.equal(
    withProgram('ExecStart=/usr/bin/env pinfs mount', program),
    `ExecStart="/a b/it's" "/c%%d/$$e\\"f" mount`,
  );
  t.end();
});

/** What the program map says of a name, as automount would ask it. */
function asked(name: string): string {
  try {
    return execFileSync('sh', [join(share, 'autofs/auto.pinfs'), name], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

t.test('the map of autofs has an entry for what can be the name of a repository', (t) => {
  for (const name of ['software.example.org', 'a-b_c.cern.ch', '1.org'])
    t.match(
      asked(name),
      new RegExp(`^-fstype=pinfs,ro,nosuid,nodev,allow_other,\\S+ :${name}\\n$`),
    );
  for (const name of [
    'software',
    '.git',
    '-x.org',
    'a b.org',
    'a/b.org',
    'a..org',
    'a.org.',
    '',
    '$(x).a',
  ])
    t.equal(asked(name), '', JSON.stringify(name));
  t.end();
});

/** What the helper of mount(8) calls. */
function called(t: Test, ...args: string[]): string[] {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  writeFileSync(join(path, 'pinfs'), '#!/bin/sh\nprintf "%s\\n" "$@"\n', { mode: 0o755 });
  const env = { PATH: `${path}:/usr/bin:/bin` };
  const text = execFileSync('sh', [join(share, 'sbin/mount.pinfs'), ...args], {
    encoding: 'utf8',
    env,
  });
  return text.split('\n').slice(0, -1);
}

t.test('the helper understands what mount(8) says', (t) => {
  const plain = ['mount', '-o', 'ro', '--', 'a.org', '/m'];
  t.same(called(t, 'a.org', '/m'), plain);
  t.same(called(t, 'a.org', '/m', '-s', '-n', '-t', 'pinfs.x', '-N', '5'), plain);
  t.same(called(t, 'a.org', '/m', '-v', '-o', 'rw,key="/a,b"', '-o', 'noexec'), [
    ...['mount', '--verbose', '-o', 'ro,rw,key="/a,b",noexec', '--', 'a.org', '/m'],
  ]);
  t.same(called(t, 'a.org', '/m', '-f'), [], 'only seemingly');
  t.same(called(t, 'a b;c', '/m n'), ['mount', '-o', 'ro', '--', 'a b;c', '/m n']);
  t.end();
});
