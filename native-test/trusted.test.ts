import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { file, makeRepository, symlink } from '../lib/publish/write-repository.js';
import { isRoot, needsAll, needsDriver, needsProgram, type DriverName } from './machine.js';
import { run, scene, shell } from './scene.js';

// Who sees which extended attributes, and what `df -i` says.

const xattrs = { 'trusted.overlay.opaque': 'y', 'user.note': 'x', 'security.other': 'z' };
const made = makeRepository({
  revisions: [{ tree: { file: file('text', { xattrs }), link: symlink('file', { xattrs }) } }],
});

/** The names that are listed, and that each of them can be had, as an archiver asks. */
const askAll =
  'for i in file link; do for n in $(getfattr -h -m - "$1/$i" 2>&1 | grep -E "^[a-z]+[.]"); do getfattr -h -n "$n" "$1/$i" >/dev/null || exit 9; echo "$i $n"; done; done';

async function asked(t: Test, driver: DriverName, allowOther: boolean): Promise<void> {
  const here = scene(t, driver);
  const source = made.writeTo(here.work);
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  spawnSync('chmod', ['755', here.work]);
  const args = ['--key', key, ...(allowOther ? ['--allow-other'] : [])];
  const mountpoint = await here.mount({ source, args });
  const all = ['security.other', 'trusted.overlay.opaque', 'user.note'];
  const own = await shell(askAll, mountpoint);
  t.equal(own.code, 0, own.stderr);
  const expected = all.filter(
    (name) => (isRoot && !(allowOther && driver === 'fuse-native')) || !name.startsWith('trusted'),
  );
  t.same(own.stdout.trim().split('\n').sort(), [
    ...expected.map((name) => `file ${name}`),
    ...expected.filter((name) => !name.startsWith('user')).map((name) => `link ${name}`),
  ]);
  const free = await run('df', ['--output=ipcent', mountpoint]);
  t.match(free.stdout, /\n *-\n/, 'no file system that is full');
  if (!allowOther) return;
  const as = ['--reuid', '1000', '--regid', '1000', '--clear-groups', 'bash', '-c', askAll, '-'];
  const other = await run('setpriv', [...as, mountpoint]);
  t.equal(other.code, 0, other.stderr);
  t.equal(other.stdout, 'file security.other\nfile user.note\nlink security.other\n');
}

for (const driver of ['kernel', 'fuse-native'] as const) {
  const needs = needsAll(needsDriver(driver), needsProgram('getfattr'));
  void t.test(
    `${driver}: attributes of who may not have them`,
    { ...needs, timeout: 120_000 },
    async (t) => {
      await asked(t, driver, false);
      if (isRoot) await asked(t, driver, true);
    },
  );
}
