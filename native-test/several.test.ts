import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { schemaProblems } from '../lib/testing/schemas.js';
import { fixtureKey, fixtures, type CliResult } from './cli.js';
import { pinfsAtOnce, pinfsInProcess } from './in-process.js';
import { needsMount } from './machine.js';
import { scene, type Scene } from './scene.js';
import { isGone, isMounted, pidOf, standIn, until } from './stage.js';

// Several mounts of one process: `pinfs mount SOURCE DIR --with SOURCE=DIR`.

const needs = { ...needsMount, timeout: 180_000 };
const repository = join(fixtures, 'analysis.example.org');
const tag = `${repository}@2015-legacy`;

interface Several {
  readonly here: Scene;
  /** Three of them. */
  readonly places: readonly [string, string, string];
  readonly mount: (...more: string[]) => Promise<CliResult>;
}

function setUp(t: Test): Several {
  const here = scene(t, 'kernel');
  const [one, two, three] = ['one', 'two', 'three'].map((name) => join(here.work, name));
  const places = [one ?? '', two ?? '', three ?? ''] as const;
  for (const place of places) mkdirSync(place);
  t.teardown(async () => {
    const mounted = places.filter(isMounted);
    if (mounted.length > 0) await pinfsAtOnce(['umount', '--force', ...mounted]);
  });
  const options = ['--key', fixtureKey, '--cache', here.directory('cache')];
  const withs = [`${repository}=${places[1]}`, `${tag}=${places[2]}`].flatMap((one) => [
    '--with',
    one,
  ]);
  const mount = (...more: string[]) =>
    pinfsAtOnce(['mount', ...options, ...withs, ...more, tag, places[0]]);
  return { here, places, mount };
}

void t.test('each has its own status, and goes for itself', needs, async (t) => {
  const { here, places, mount } = setUp(t);
  const mounted = await mount('--json');
  t.equal(mounted.code, 0, mounted.stderr);
  t.same(schemaProblems('mount-with', JSON.parse(mounted.stdout)), []);
  for (const place of places) t.match(readFileSync(join(place, 'README.md'), 'utf8'), /\S/);
  const pids = await Promise.all(places.map((place) => pidOf(here, place)));
  t.equal(new Set(pids).size, 1, 'one process');
  const [pid = 0] = pids;
  const [one, two, three] = places;
  const somebody = await standIn(one);
  t.match(await pinfsAtOnce(['umount', one]), { code: 1, stderr: /MOUNT_BUSY/ });
  const begin = Date.now();
  t.match(await pinfsAtOnce(['umount', two]), { code: 0 });
  t.notOk(isMounted(two));
  t.equal(await here.status(two), undefined);
  t.ok(Date.now() - begin < 4000, 'nobody waits for a process that goes on');
  t.ok(isMounted(one) && isMounted(three), 'the others stay');
  t.match(readFileSync(join(three, 'README.md'), 'utf8'), /\S/);
  process.kill(pid, 'SIGTERM');
  t.ok(await until(() => !isMounted(three)), 'a signal ends all');
  t.ok(isMounted(one), 'but waits for who is inside');
  somebody.stdin?.end();
  t.ok(await until(() => isGone(pid)));
  t.notOk(places.some(isMounted));
});

void t.test('all of them, or none', needs, async (t) => {
  const { here, places, mount } = setUp(t);
  const nowhere = join(here.work, 'nowhere');
  t.match(await mount('--with', `${tag}=${nowhere}`), { code: 6, stderr: /nowhere/ });
  t.notOk(places.some(isMounted));
  for (const wrong of ['x', '=x', `${tag}=`])
    t.match(await mount('--with', wrong), { code: 2, stderr: /--with .* has no source/ });
});

void t.test('a process that is killed leaves no mount behind', needs, async (t) => {
  const { here, places, mount } = setUp(t);
  t.equal((await mount()).code, 0);
  process.kill(await pidOf(here, places[1]), 'SIGKILL');
  t.ok(await until(() => !places.some(isMounted)));
  t.equal((await mount()).code, 0, 'and can be started again');
});

void t.test('what the settings have, and what their words mean', needs, async (t) => {
  const { here, places } = setUp(t);
  const [one, two, three] = places;
  const config = join(here.work, 'config');
  mkdirSync(join(config, 'pinfs'), { recursive: true });
  const text = `cache = "${here.directory('cache')}"
    [sources.sw]
    source = "${repository}"
    key = "${fixtureKey}"
    [mounts]
    "${one}" = "sw@2015-legacy"
    "${two}" = "sw"`;
  writeFileSync(join(config, 'pinfs', 'config.toml'), text, { mode: 0o600 });
  const env = { XDG_CONFIG_HOME: config };
  const pinfs = (...args: string[]) => pinfsInProcess(args, env);
  t.match(await pinfs('mount', '--all', tag), { code: 2, stderr: /nothing else/ });
  t.match(await pinfs('mount'), { code: 2, stderr: /missing required argument 'source/ });
  t.match(await pinfs('mount', 'sw'), { code: 2, stderr: /missing required argument 'mountpoint/ });
  t.match(await pinfs('mount', '--all'), { code: 0, stderr: '' });
  const pid = await pidOf(here, one);
  t.equal(await pidOf(here, two), pid);
  t.match((await pinfs('config', 'show')).stdout, `"sw@2015-legacy"`);
  t.equal((await pinfs('umount', two)).code, 0);
  const again = await pinfs('mount', '--all', '--with', `sw@2015-legacy=${three}`);
  t.match(again, { code: 2, stderr: /cannot be used with/ });
  t.match(await pinfs('mount', '--all'), { code: 0, stderr: /one is mounted already/ });
  t.equal(await pidOf(here, one), pid);
  t.ok(isMounted(two));
  t.equal((await pinfs('umount', one, two)).code, 0);
  const words = ['sw@2015-legacy', one, '--with', `sw=${three}`];
  t.match(await pinfs('mount', ...words), { code: 0, stderr: '' });
  t.equal(await pidOf(here, three), await pidOf(here, one));
});
