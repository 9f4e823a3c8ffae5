import { execFileSync } from 'node:child_process';
import t from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { packagesOf } from './installed-packages.js';

// What is in the packages; .ci/package installs and uses that of Debian.

void t.test('npm packs what is used, and no map of a source that is not there', (t) => {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const output = execFileSync('npm', args, { cwd: checkout, encoding: 'utf8', stdio: 'pipe' });
  const [packed] = JSON.parse(output) as { files: { path: string }[] }[];
  const paths = (packed?.files ?? []).map(({ path }) => path);
  t.same(
    paths.filter((path) => /\.map$|\.test\.|\/testing\/|^native-test/.test(path)),
    [],
  );
  for (const path of ['dist/lib/index.js', 'share/man/pinfs.1', 'share/schema/status.json']) {
    t.ok(paths.includes(path), path);
  }
  t.end();
});

void t.test('the packages that Debian gets are those that are loaded', (t) => {
  const all = packagesOf(checkout, new Set(['fuse-native']), new Set(['d3']));
  const names = all.map(({ name }) => name);
  for (const name of ['better-sqlite3', 'bindings', 'file-uri-to-path', 'undici', 'd3']) {
    t.ok(names.includes(name), name);
  }
  for (const name of ['fuse-native', 'd3-array', 'tap', 'typescript']) {
    t.notOk(names.includes(name), name);
  }
  t.equal(new Set(all.map(({ path }) => path)).size, all.length);
  t.end();
});
