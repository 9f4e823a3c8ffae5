import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { packagesOf } from './installed-packages.js';
import { restoreMaps, stripMaps } from './pack-maps.js';

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

void t.test('what is packed names no map, and the checkout names its own again', (t) => {
  const named = 'export {};\n//# sourceMappingURL=a.js.map';
  const place = t.testdir({ 'a.js': named, 'a.js.map': '{}', deep: { 'b.js': 'b();\n' } });
  const file = (name: string): string => readFileSync(join(place, name), 'utf8');
  stripMaps(place);
  t.equal(file('a.js'), 'export {};\n');
  stripMaps(place);
  restoreMaps(place);
  t.equal(file('a.js'), named);
  t.equal(file('deep/b.js'), 'b();\n', 'it never had one');
  const { scripts } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    scripts: Readonly<Record<string, string>>;
  };
  t.match(scripts, { prepack: /pack-maps\.js strip$/, postpack: /pack-maps\.js restore$/ });
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
