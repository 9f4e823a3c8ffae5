import { join } from 'node:path';
import t from 'tap';
import { checkout } from '../testing/genuine.js';
import { sourceFiles } from '../testing/house/tidy.js';
import { asPinfsError, errorCodes, exitOf, PinfsError, worseExit } from './errors.js';

t.test('exit codes are those of the README', (t) => {
  t.equal(new PinfsError('USAGE', '').exit, 2);
  t.equal(new PinfsError('WHITELIST_EXPIRED', '').exit, 3);
  t.equal(new PinfsError('SOURCE_TIMEOUT', '').exit, 4);
  t.equal(new PinfsError('OBJECT_MISSING', '').exit, 5);
  t.equal(new PinfsError('MOUNT_NO_DEVICE', '').exit, 6);
  t.equal(new PinfsError('OFFLINE', '').exit, 7);
  t.equal(new PinfsError('INTERNAL', '').exit, 1);
  t.end();
});

t.test('of two exit codes the worse one stands', (t) => {
  const inOrder = [0, 1, 4, 5, 3];
  for (const [index, worse] of inOrder.entries()) {
    for (const one of inOrder.slice(0, index + 1)) {
      t.equal(worseExit(one, worse), worse);
      t.equal(worseExit(worse, one), worse);
    }
  }
  t.equal(exitOf('OBJECT_MISSING'), 5);
  t.end();
});

t.test('whatever is thrown becomes an error of ours, and keeps its cause', (t) => {
  const error = new PinfsError('USAGE', 'x');
  t.equal(asPinfsError(error), error);
  const cause = new Error('broken');
  t.match(asPinfsError(cause), { code: 'INTERNAL', message: 'broken', cause });
  t.match(asPinfsError('text'), { code: 'INTERNAL', message: 'text' });
  t.end();
});

t.test('every code is raised somewhere, and provoked by a test', (t) => {
  const catalogue = [
    'errors.ts',
    'error-codes.ts',
    'error-codes-publish.ts',
    'error-codes-published.ts',
    'error-codes-revisions.ts',
  ];
  const own = [
    ...catalogue.map((name) => join('lib', 'format', name)),
    join('tools', 'errors-document.test.ts'),
  ];
  const files = sourceFiles(checkout).filter(
    ({ path }) => !own.includes(path) && !path.endsWith('errors.test.ts'),
  );
  const isTest = (path: string): boolean =>
    path.endsWith('.test.ts') || path.startsWith('native-test') || path.includes('testing');
  const holding = (code: string, test: boolean): boolean =>
    files.some(({ path, text }) => isTest(path) === test && new RegExp(`\\b${code}\\b`).test(text));
  // Put together from the name of the file, in lib/trust/judge/evidence.ts; in machineFault.
  const composed = new Set([
    'FILES_EXHAUSTED',
    'MODULE_UNUSABLE',
    'MANIFEST_MISSING',
    'WHITELIST_MISSING',
    'CERTIFICATE_MISSING',
  ]);
  t.same(
    errorCodes.filter((code) => !composed.has(code) && !holding(code, false)),
    [],
    'codes that nothing raises',
  );
  t.same(
    errorCodes.filter((code) => !holding(code, true)),
    [],
    'codes that no test knows',
  );
  t.end();
});
