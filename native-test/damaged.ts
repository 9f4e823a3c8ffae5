import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import {
  damagedCases,
  damagedFile,
  damagedFqrn,
  type DamagedCase,
  type DamagedOperation,
} from '../lib/testing/damaged.js';
import { genuine, needsGenuine } from '../lib/testing/genuine.js';
import { needsAll, needsDriver, type DriverName } from './machine.js';
import type { Step } from './probe.js';
import { probe, scene, shell, type Scene } from './scene.js';

/** Those that say something of a mount which the library's test of all cases does not. */
const chosen = new RegExp(
  [
    '^base$|manifest-html$|whitelist-expired$|rollback|^tag-unknown|^catalog-(wrong|mode)',
    '^object-(missing|content-too)|^chunk-bit|^chunks-gap|^bomb-file|^directory-is-own',
    '^nested-(catalog-missing|cycle|catalog-is)|^name-|^size-(huge|neg)|^symlink-|^xattr-',
  ].join('|'),
);

const refusals: Partial<Record<DamagedCase['expect'], number>> = {
  'refused-by-trust': 3,
  'missing-object': 5,
  'damaged-object': 5,
  'damaged-catalog': 5,
};

/** Damaged repositories, mounted: they are refused, or what is damaged is EIO and the rest works. */
export function damagedAreSafe(driver: DriverName): void {
  const needs = needsAll(needsGenuine, needsDriver(driver));
  void t.test(`${driver}: damaged repositories`, needs, async (t) => {
    let current: Pick<DamagedCase, 'name' | 'changed' | 'removed'> = { name: 'base' };
    const server = await startBadServer((path) => damagedFile(current, path), damagedFqrn);
    t.teardown(() => server.close());
    const here = scene(t, driver);
    for (const one of damagedCases().filter(({ name }) => chosen.test(name))) {
      await t.test(one.name, async (t) => {
        if (one.first !== undefined) {
          current = { name: 'base' };
          const mountpoint = await mount(here, server, one);
          await shell('cat "$1/hello.txt"', mountpoint);
          await here.umount(mountpoint);
        }
        current = one;
        await check(t, here, server, one);
      });
    }
  });
}

function argumentsOf(server: BadServer, { tag, name }: DamagedCase) {
  const key = genuine('keys', `${damagedFqrn}.pub`);
  const source = server.url + (tag === undefined ? '' : `@${tag}`);
  return { source, cache: join('caches', name), args: ['--key', key, '--deadline', '5'] };
}

async function mount(here: Scene, server: BadServer, one: DamagedCase): Promise<string> {
  return await here.mount(argumentsOf(server, one));
}

async function check(t: Test, here: Scene, server: BadServer, one: DamagedCase): Promise<void> {
  const { code, stderr, mountpoint } = await here.tryMount(argumentsOf(server, one));
  if (code !== 0) {
    t.equal(code, refusals[one.expect] ?? 5, stderr);
    t.match(stderr, /^pinfs: .*\[[A-Z_]+\]/s);
    return;
  }
  const steps = one.show.flatMap((operation) => stepOf(mountpoint, operation));
  for (const [index, result] of (await probe(steps)).entries()) {
    const { op = 'mount', path = '' } = one.show.filter(({ op }) => op !== 'mount')[index] ?? {};
    const shown = `${op} ${path}: ${JSON.stringify(result)}`.slice(0, 100);
    t.ok(isSafe(one, op, path, result), shown);
  }
  const works = [...(one.still_works ?? []), ...(one.name === 'rollback' ? ['/hello.txt'] : [])];
  for (const path of works) {
    const read = await shell('cat "$1" | sha256sum', mountpoint + path);
    t.equal(read.stderr, '', `${path} works`);
    t.equal(read.stdout.slice(0, 8), contents[path], `${path} is right`);
  }
  // A walk over all of it ends, whatever is in there.
  const walk = await shell('find "$1" -xdev | wc -l', mountpoint);
  t.ok(Number(walk.stdout) >= 1 && Number(walk.stdout) < 50, 'a walk ends');
  await here.umount(mountpoint);
}

const contents: Readonly<Record<string, string>> = {
  '/hello.txt': 'd9a4c667',
  '/dir/data.txt': '5c95d6b8',
  '/chunked.txt': 'd66174ed',
  '/nested/inside.txt': '7b244169',
  '/xattr.txt': '2d711642',
};
/** Of no bytes at all. */
const nothing = 'e3b0c442';

function stepOf(mountpoint: string, { op, path = '/' }: DamagedOperation): Step[] {
  const full = mountpoint + path;
  switch (op) {
    case 'mount':
      return [];
    case 'read':
      return [['content', full]];
    case 'list':
      return [['list', full]];
    case 'stat':
    case 'xattr':
      return [['lstat', full]];
    case 'readlink':
      return [['readlink', full]];
  }
}

/** What can be wrong with a name in a listing. */
function badName(name: string): boolean {
  return name === '' || name === '.' || name === '..' || /[/\0]/.test(name) || name.length > 255;
}

function isSafe(one: DamagedCase, op: string, path: string, result: unknown): boolean {
  if (op === 'list' && Array.isArray(result)) {
    const names = result as string[];
    return !names.some(badName) && new Set(names).size === names.length;
  }
  const failed = typeof result === 'string' && /^E[A-Z]+$/.test(result);
  const mustFail = refusals[one.expect] !== undefined && one.name !== 'rollback';
  if (op === 'read') {
    if (mustFail) return result === 'EIO';
    return failed || result === nothing || result === (contents[path] ?? result);
  }
  return failed || op !== 'list';
}
