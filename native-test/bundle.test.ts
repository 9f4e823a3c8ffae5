import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import t, { type Test } from 'tap';
import { compiledProgram, program } from '../lib/testing/program.js';
import { fixtureKey, fixtures, pinfs } from './cli.js';

// The program as it is installed: dist/bundle, made by tools/bundle.ts.

const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;

function directory(t: Test): string {
  const made = mkdtempSync(join(tmpdir(), 'pinfs-bundle-test-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

void t.test('it is what these tests run', (t) => {
  t.not(program, compiledProgram, 'npm run build makes the bundle');
  t.end();
});

void t.test('a mount and its threads run what was bundled, and no module beside it', async (t) => {
  const work = directory(t);
  const mountpoint = join(work, 'mnt');
  mkdirSync(mountpoint);
  const args = ['--key', fixtureKey, '--cache', join(work, 'cache'), source, mountpoint];
  const coverage = join(work, 'coverage');
  const mounted = await pinfs(['mount', ...args], { NODE_V8_COVERAGE: coverage });
  t.equal(mounted.code, 0, mounted.stderr);
  t.ok(readdirSync(mountpoint).includes('README'));
  t.equal((await pinfs(['umount', mountpoint])).code, 0);
  const loaded = readdirSync(coverage).map((name) => readFileSync(join(coverage, name), 'utf8'));
  for (const name of ['pinfs.cjs', 'child.cjs', 'worker.cjs'])
    t.ok(
      loaded.some((text) => text.includes(`/bundle/${name}`)),
      name,
    );
  for (const text of loaded) t.notMatch(text, /"url":"[^"]*\/dist\/(lib|bin)\//);
});

void t.test('V8 takes the code that was compiled for it', (t) => {
  const bundles = dirname(program);
  for (const name of ['pinfs.cjs', 'child.cjs', 'worker.cjs']) {
    const code = readFileSync(join(bundles, `${name}.code`));
    t.ok(code.length > 100_000, name);
  }
  const filename = join(bundles, 'pinfs.cjs');
  const cachedData = readFileSync(`${filename}.code`);
  t.equal(
    new Script(readFileSync(filename, 'utf8'), { filename, cachedData }).cachedDataRejected,
    false,
  );
  t.end();
});

void t.test('code of another V8, cut or lost is compiled anew', (t) => {
  const copy = directory(t);
  const bundles = join(copy, 'dist', 'bundle');
  cpSync(dirname(program), bundles, { recursive: true });
  cpSync(join(dirname(compiledProgram), '..', '..', 'package.json'), join(copy, 'package.json'));
  const code = join(bundles, 'pinfs.cjs.code');
  const version = () =>
    spawnSync(process.execPath, [join(bundles, 'pinfs.js'), '--version'], { encoding: 'utf8' });
  t.match(version().stdout, /^\d+\.\d+\.\d+\n$/);
  truncateSync(code, 1000);
  t.match(version().stdout, /^\d+\.\d+\.\d+\n$/, 'cut');
  rmSync(code);
  t.match(version().stdout, /^\d+\.\d+\.\d+\n$/, 'lost');
  const flags = spawnSync(
    process.execPath,
    ['--no-lazy-feedback-allocation', join(bundles, 'pinfs.js'), '--version'],
    { encoding: 'utf8' },
  );
  t.match(flags.stdout, /^\d+\.\d+\.\d+\n$/, 'other flags');
  t.end();
});
