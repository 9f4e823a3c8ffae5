import { dirname } from 'node:path';
import t, { type Test } from 'tap';
import { serve } from '../lib/source/serve.js';
import { needsGenuine } from '../lib/testing/genuine.js';
import {
  differences,
  expectedTree,
  genuineRepositories,
  type GenuineRepository,
} from '../lib/testing/suites/oracle.js';
import { carried, notUtf8, type ExpectedTree } from './carried.js';
import { needsAll, needsDriver, needsProgram, uid, type DriverName } from './machine.js';
import { scene, walkMount, type Scene } from './scene.js';

/** Snapshots that are mounted, by folder; `all` where nothing is said. */
const chosen: Readonly<Record<string, readonly string[]>> = {
  'features-sha1': ['v1-base', 'v4-external'],
  'features-rmd160': ['v2-chunks'],
};

/** Every genuine repository mounted by a driver is the tree that was published. */
export function treesAreEqual(driver: DriverName): void {
  const needs = needsAll(needsGenuine, needsDriver(driver), needsProgram('getfattr'));
  void t.test(
    `mounted by ${driver}, genuine repositories are what was published`,
    needs,
    async (t) => {
      for (const repository of genuineRepositories()) {
        const wanted = chosen[repository.folder];
        const snapshots = repository.snapshots.filter(({ name }) => wanted?.includes(name) ?? true);
        if (snapshots.length === 0) continue;
        await t.test(repository.folder, async (t) => {
          const here = scene(t, driver);
          const server = await serve(dirname(repository.directory));
          t.teardown(() => server.close());
          for (const { name, tag } of snapshots) {
            const pin = tag === undefined ? '' : `@${tag}`;
            const source = `${server.url}/${repository.fqrn}${pin}`;
            await t.test(name, (t) => isTheTree(t, here, { driver, repository, name, source }));
          }
        });
      }
    },
  );
}

/** Schema 1.x: everything belongs to whoever mounts. */
const ownerless = /^legacy\/(schema-[01]|guinea-pig|corrupt)/;

function ownedByMe(lines: ExpectedTree): ExpectedTree {
  const gid = process.getgid?.() ?? 0;
  return new Map([...lines].map(([path, line]) => [path, { ...line, uid, gid }]));
}

interface Wanted {
  readonly driver: DriverName;
  readonly repository: GenuineRepository;
  readonly name: string;
  readonly source: string;
}

async function isTheTree(
  t: Test,
  here: Scene,
  { driver, repository, name, source }: Wanted,
): Promise<void> {
  const external = repository.external === undefined ? [] : ['--external', repository.external];
  const variables = ['--env', 'TEST_SET=value', '--env', 'TEST_EMPTY='];
  const args = ['--key', repository.key, ...external, ...variables];
  const at = name.replaceAll(/[^a-z0-9.-]/gi, '_');
  const mountpoint = await here.mount({ source, at, args });
  const lines = expectedTree(repository.folder, name);
  const binds = [...lines].flatMap(([path, line]) => (line.bind_mountpoint === true ? [path] : []));
  const shown = await walkMount(mountpoint, binds);
  const owned = ownerless.test(repository.folder) ? ownedByMe(lines) : lines;
  t.strictSame(differences(shown, carried(owned, driver)), []);
  const left = driver === 'fuse-native' ? notUtf8(lines).length : 0;
  if (left > 0) {
    const counted = (await here.status(mountpoint))?.status?.notCarried ?? 0;
    t.ok(counted >= left, 'what is left out is counted');
  }
  await here.umount(mountpoint);
}
