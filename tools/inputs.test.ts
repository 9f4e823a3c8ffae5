import t from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { sourceFiles } from '../lib/testing/house/tidy.js';
import { closure, surroundings, testsThrough } from './inputs.js';

t.test('what a test depends on: what it imports, and so on, and workers too', (t) => {
  const parts = closure('lib/drivers/kernel/worker/session.test.ts');
  for (const part of [
    'dist/lib/drivers/kernel/worker/session.test.js',
    'dist/lib/drivers/kernel/worker/session.js',
    'dist/lib/drivers/kernel/protocol/protocol.js',
    'dist/lib/format/errors.js',
  ]) {
    t.ok(parts.includes(part), part);
  }
  t.notOk(parts.includes('dist/lib/mount/session/session.js'));
  t.ok(
    closure('lib/drivers/kernel/main/link.test.ts').includes(
      'dist/lib/drivers/kernel/worker/worker.js',
    ),
  );
  t.end();
});

t.test('another environment is another outcome', (t) => {
  const before = surroundings();
  t.equal(surroundings(), before);
  process.env['PINFS_SEED'] = '7';
  t.not(surroundings(), before);
  delete process.env['PINFS_SEED'];
  t.equal(surroundings(), before);
  t.end();
});

t.test('the tests that go through a source are found, and no others', (t) => {
  const shelf = 'lib/store/cache/open-shelf.ts';
  const tests = ['lib/format/hash.test.ts', 'lib/store/open.test.ts', 'lib/promises.test.ts'];
  t.same(testsThrough(tests, shelf), tests.slice(1));
  t.throws(() => testsThrough(tests, 'lib/store/attic.ts'), /there is no/);
  // What decides about the slow order is that one file, or a test by itself.
  const deciding = sourceFiles(checkout)
    .filter(({ text }) => /process\.env\[?.?.?ALWAYS_MISS/.test(text))
    .map(({ path }) => path);
  t.same(
    deciding.filter((path) => !path.endsWith('.test.ts') && path.startsWith('lib/')),
    [shelf],
  );
  t.end();
});
