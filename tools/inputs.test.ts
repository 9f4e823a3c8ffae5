import t from 'tap';
import { closure, surroundings } from './inputs.js';

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
