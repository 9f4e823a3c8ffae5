import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { serve } from '../lib/source/serve.js';
import { analyse, fixtureKey, fixtures, pinfs } from './cli.js';
import { needsDriver, type DriverName } from './machine.js';
import { scene } from './scene.js';

// The main job: the same data analysed by the software of its time, from snapshots beside each other.
const tags = ['2010-reprocessing', '2015-legacy', '2024-open-data'];

for (const driver of ['fuse-native', 'kernel'] as const satisfies readonly DriverName[]) {
  void t.test(`${driver}: history stays mountable`, needsDriver(driver), async (t) => {
    const here = scene(t, driver);
    const server = await serve(fixtures);
    t.teardown(() => server.close());
    const source = `${server.url}/analysis.example.org`;
    const mountpoints: string[] = [];
    for (const tag of tags) {
      const args = ['--key', fixtureKey];
      mountpoints.push(await here.mount({ source: `${source}@${tag}`, at: tag, args }));
    }
    for (const [index, tag] of tags.entries()) {
      const expected = readFileSync(join(fixtures, 'expected', `analyse-${tag}.txt`), 'utf8');
      t.equal(await analyse(mountpoints[index] ?? ''), expected, tag);
    }
    const { stdout } = await pinfs(['status', '--json']);
    const { mounts } = JSON.parse(stdout) as { mounts: { mountpoint: string; state: string }[] };
    for (const mountpoint of mountpoints) {
      t.equal(mounts.find((one) => one.mountpoint === mountpoint)?.state, 'running');
    }
  });
}
