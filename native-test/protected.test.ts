import t from 'tap';
import { fixtureKey, fixtures } from './cli.js';
import { needsAll, needsDriver, needsNobody, needsProgram } from './machine.js';
import { scene, shell } from './scene.js';

const drivers = ['kernel', 'fuse-native'] as const;
const source = `${fixtures}/analysis.example.org@2015-legacy`;

for (const driver of drivers) {
  const needs = needsAll(needsDriver(driver), needsNobody, needsProgram('getfattr'));
  void t.test(`${driver}: attributes for some groups only`, needs, async (t) => {
    const here = scene(t, driver);
    const args = ['--key', fixtureKey, '--allow-other', '--protected-xattr', 'user.logbuffer'];
    const mountpoint = await here.mount({ source, args: [...args, '--xattr-gid', '4321'] });
    await shell('chmod 711 "$1"', here.work);
    const ask = async (gid: number, name: string): Promise<string> => {
      const as = `setpriv --reuid 1234 --regid ${gid} --clear-groups`;
      const { stdout, stderr } = await shell(
        `${as} getfattr --absolute-names --only-values -n "$2" "$1"`,
        mountpoint,
        name,
      );
      return stdout + stderr;
    };
    const mayRead = driver === 'kernel' ? /^\[20.*mounting/ : /No such attribute/;
    for (const name of ['user.logbuffer', 'user.logbuffer~0']) {
      t.match(await ask(0, name), mayRead, `${name}: group 0`);
      t.match(await ask(4321, name), mayRead, `${name}: a group that was named`);
      t.match(await ask(4322, name), /No such attribute/, `${name}: another group`);
    }
    t.equal(await ask(4322, 'user.fqrn'), 'analysis.example.org', 'others are not protected');
    t.equal(await ask(4322, 'user.proxy_list'), 'DIRECT');
  });
}
