import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { isSystemAdministrator, mountRights, shownNames } from './capabilities.js';

const isRoot = process.getuid?.() === 0;

/** A process that sleeps, started by a command that gives up some right; its number once it is there. */
async function sleeper(t: Test, command: string, ...args: string[]): Promise<number> {
  const child = spawn(command, [...args, 'sh', '-c', 'echo; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(() => child.kill());
  await once(child.stdout, 'data');
  return child.pid ?? 0;
}

void t.test('whoever has the capability where the machine starts is one', async (t) => {
  const line = /^CapEff:\t(.*)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const has = ((BigInt(`0x${line}`) >> 21n) & 1n) === 1n;
  t.equal(isSystemAdministrator('self') && !has, false);
  t.equal(isSystemAdministrator(0), false, 'a process that is not seen from here');
  t.equal(isSystemAdministrator(2 ** 30), false, 'nor one that is gone');
  if (!isRoot || !isSystemAdministrator('self')) return;
  t.equal(isSystemAdministrator(await sleeper(t, 'setpriv')), true);
  const others: [string, ...string[]][] = [
    ['setpriv', '--reuid', '1000', '--regid', '1000', '--clear-groups'],
    ['setpriv', '--bounding-set', '-sys_admin', '--inh-caps', '-sys_admin'],
    ['unshare', '--user', '--map-root-user'],
  ];
  for (const [command, ...args] of others)
    t.equal(isSystemAdministrator(await sleeper(t, command, ...args)), false, args.join(' '));
});

void t.test('trusted names are for administrators, and nobody is asked for others', (t) => {
  const names = ['user.note', 'trusted.overlay.opaque', 'security.capability'];
  t.same(
    shownNames(names, () => true),
    names,
  );
  t.same(
    shownNames(names, () => false),
    ['user.note', 'security.capability'],
  );
  let asked = 0;
  shownNames(['user.note'], () => (asked += 1) > 0);
  t.equal(asked, 0, 'it does not matter here');
  t.end();
});

void t.test('rights to mount are read from the status of the process', (t) => {
  const status = (effective: string, bounding: string, noNew: string) =>
    `Name:\tnode\nCapEff:\t${effective}\nCapBnd:\t${bounding}\nNoNewPrivs:\t${noNew}\n`;
  const all = '000001ffffffffff';
  const withoutAdmin = '000001ffffdfffff';
  const nothing = '0000000000000000';
  t.equal(mountRights(status(all, all, '0'), true), 'own');
  t.equal(mountRights(status(nothing, all, '0'), false), 'helper');
  t.equal(mountRights(status(withoutAdmin, all, '0'), true), 'helper');
  t.equal(mountRights(status(withoutAdmin, withoutAdmin, '0'), true), 'none');
  t.equal(mountRights(status(nothing, all, '1'), false), 'none');
  t.equal(mountRights('', false), 'none');
  t.end();
});
