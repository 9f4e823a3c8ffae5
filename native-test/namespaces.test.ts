import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { fixtureKey, fixtures, script } from './cli.js';
import { needsAll, needsDriver, needsProgram, needsRoot, type Needs } from './machine.js';
import { run, scene } from './scene.js';

// In `unshare -Urm` everybody is root, and what root's own mounts have made belongs to nobody.

const userId = 1000;
const asUser = `setpriv --reuid=${userId} --regid=${userId} --clear-groups`;
const needsUser: Needs =
  spawnSync('sh', ['-c', `${asUser} unshare -Urm test -r '${script}'`]).status === 0
    ? {}
    : { skip: 'an ordinary user may have no namespace, or not read this build' };
const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;

void t.test(
  'a namespace of a user where root has used pinfs before',
  {
    ...needsAll(needsDriver('kernel'), needsRoot, needsProgram('setpriv'), needsUser),
    timeout: 240_000,
  },
  async (t) => {
    const here = scene(t, 'kernel');
    await here.mount({ source, args: ['--key', fixtureKey] });
    const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-user-')));
    t.teardown(() => {
      rmSync(work, { recursive: true, force: true });
    });
    chmodSync(work, 0o755);
    for (const name of ['home', 'home/mnt']) {
      mkdirSync(join(work, name));
      chownSync(join(work, name), userId, userId);
    }
    const pinfs = `'${process.execPath}' '${script}'`;
    const inside = `cd /; stat -c 'owner %u' /run/pinfs
      ${pinfs} mount --key '${fixtureKey}' '${source}' $HOME/mnt && ls $HOME/mnt && ${pinfs} status
      ${pinfs} umount $HOME/mnt; echo ended $?`;
    // A device that everyone may open, seen only there.
    const outside = `mknod -m 666 ${work}/fuse c 10 229 && mount --bind ${work}/fuse /dev/fuse
      env -u XDG_RUNTIME_DIR -u XDG_CACHE_HOME -u XDG_STATE_HOME HOME=${work}/home \
        ${asUser} unshare -Urm sh -c "$0"`;
    const { stdout, stderr } = await run('unshare', ['-m', 'sh', '-c', outside, inside]);
    t.match(stdout, /^owner 65534$/m, "root's directory is there, and nobody's");
    t.match(stdout, `${work}/home/mnt`, stderr);
    t.match(stdout, /README/);
    t.match(stdout, /ended 0/, stderr);
  },
);
