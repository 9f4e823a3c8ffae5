import { join } from 'node:path';
import t from 'tap';
import { schemaProblems } from '../lib/testing/schemas.js';
import { fixtureKey, fixtures, inside } from './cli.js';
import { pinfsAtOnce } from './in-process.js';
import { needsDriver } from './machine.js';
import { scene } from './scene.js';

// What the commands that know a mount, or what was recorded on it, print with --json; bin/schemas.test.ts has the others.

/** One value on each line. */
const linewise = new Set(['trace-show']);

void t.test('a mount and its trace', { ...needsDriver('kernel'), timeout: 120_000 }, async (t) => {
  const { work } = scene(t, 'kernel');
  const at = (name: string): string => join(work, name);
  const mnt = t.testdir();
  const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;
  const run = async (schema: string, ...args: string[]): Promise<void> => {
    const { stdout, stderr } = await pinfsAtOnce([...args, '--json']);
    const values = linewise.has(schema) ? stdout.split('\n').filter(Boolean) : [stdout];
    t.not(values.length, 0, schema);
    for (const value of values) {
      t.same(
        schemaProblems(schema, JSON.parse(value)),
        [],
        `${args.join(' ')}: ${value} ${stderr}`,
      );
    }
  };
  const opening = ['--key', fixtureKey, '--cache', at('cache')];
  await run('mount', 'mount', ...opening, '--record', at('trace'), '--record-all', source, mnt);
  t.teardown(() => pinfsAtOnce(['umount', '--force', mnt]));
  await inside(mnt, 'cat README.md LICENSE > /dev/null');
  await run('status', 'status');
  await run('explain', 'explain', join(mnt, 'README.md'));
  await run('repin', 'repin', '--dry-run', mnt, '@2010-reprocessing');
  await run('record-stop', 'record', 'stop', mnt);
  await run('record-start', 'record', 'start', mnt, at('second'));
  await run('umount', 'umount', mnt);
  const foreign = ['--format', 'libcachesim-csv', '-o'];
  await run('trace-info', 'trace', 'info', at('trace'));
  await run('trace-show', 'trace', 'show', at('trace'));
  await run('trace-export', 'trace', 'export', ...foreign, at('csv'), at('trace'));
  await run('trace-import', 'trace', 'import', ...foreign, at('imported'), at('csv'));
  await run('replay', 'replay', '--size', '1M', at('trace'));
  await run('mrc', 'mrc', at('trace'));
  await run('advise', 'advise', at('trace'));
  await run('profile-make', 'profile', 'make', at('trace'), '-o', at('profile'));
  await run('profile-merge', 'profile', 'merge', at('profile'), '-o', at('merged'));
  await run('profile-show', 'profile', 'show', at('profile'));
  await run('profile-diff', 'profile', 'diff', at('profile'), at('merged'));
  await run('report', 'report', at('trace'), '-o', at('report.html'));
  await run('doctor', 'doctor');
});
