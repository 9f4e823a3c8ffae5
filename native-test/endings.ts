import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { objectPath } from '../lib/format/hash.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { pinfs } from './cli.js';
import { needsAll, needsDriver, needsProgram, needsRoot, type DriverName } from './machine.js';
import { scene } from './scene.js';
import { isGone, isMounted, pidOf, setUp, until } from './stage.js';

// What could keep a mount from its end.

/** Tests it over one driver. */
export function endings(driver: DriverName): void {
  t.setTimeout(240_000);
  const needs = needsDriver(driver);
  const options = { ...needs, timeout: 120_000 };
  void t.test(`${driver}: a new head that drips in keeps no mount from its end`, options, (t) =>
    dripping(t, driver),
  );
  const rooted = needsAll(needs, needsRoot, needsProgram('unshare'));
  void t.test(
    `${driver}: who has it in another mount namespace is named`,
    { ...rooted, timeout: 120_000 },
    (t) => elsewhere(t, driver),
  );
}

async function dripping(t: Test, driver: DriverName): Promise<void> {
  const revisions = ['old', 'new'].map((text) => ({ tree: { file: file(text) } }));
  // The shortest that is heeded (seconds).
  const made = makeRepository({ ttl: 10, revisions });
  const [first, second] = made.revisions;
  if (first === undefined || second === undefined) throw new Error('two revisions were made');
  const here = scene(t, driver);
  const files = new Map(made.files).set('.cvmfspublished', first.manifest);
  const server = await startBadServer(files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const mountpoint = await here.mount({ source: server.url, args: ['--key', key] });
  const pid = await pidOf(here, mountpoint);
  const root = objectPath({ hash: second.rootHash, kind: 'catalog' });
  server.behave(root, 'drip');
  files.set('.cvmfspublished', second.manifest);
  let asked = false;
  for (let wait = 0; wait < 10 && !asked; wait++) asked = await until(() => server.count(root) > 0);
  t.ok(asked, 'the new root catalog is on its way');
  const began = performance.now();
  t.match(await pinfs(['umount', mountpoint]), { code: 0, stdout: '', stderr: '' });
  t.ok(await until(() => isGone(pid)), 'its process is gone');
  t.notOk(isMounted(mountpoint));
  // A deadline has 30 s.
  t.ok(performance.now() - began < 20_000, `after ${performance.now() - began} ms`);
}

async function elsewhere(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const pid = await pidOf(here, mountpoint);
  const text = 'cd "$1" && echo there && read line && cat plain/file-1 | wc -c && read line';
  const holder = spawn(
    'unshare',
    ['-m', '--propagation', 'private', 'sh', '-c', text, 'sh', mountpoint],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  await once(holder.stdout, 'data');
  const { code, stdout, stderr } = await pinfs(['umount', mountpoint]);
  t.equal(code, 0, stderr);
  t.notOk(isMounted(mountpoint));
  t.match(stdout, new RegExp(`${holder.pid ?? 0} \\(sh: .*in another mount namespace`));
  t.match(stdout, /let go|last .* leaves/);
  t.notOk(isGone(pid), 'it is served for those who have it');
  t.equal((await here.status(mountpoint))?.state, 'detached');
  holder.stdin.write('\n');
  const [count] = (await once(holder.stdout, 'data')) as [Buffer];
  t.equal(count.toString().trim(), '3001');
  holder.stdin.write('\n');
  await once(holder, 'exit');
  t.ok(await until(() => isGone(pid)), 'it ends when they let go');
}
