import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkout } from './testing/genuine.js';
import { sourceFiles, violations, type SourceFile } from './testing/tidy.js';

const readme = readFileSync(join(checkout, 'lib', 'README.md'), 'utf8');

t.test('the house is in order', (t) => {
  t.same(violations(sourceFiles(checkout), readme), []);
  t.end();
});

t.test('what is out of order is found', (t) => {
  const found = (files: Record<string, string>, text = readme): string[] =>
    violations(
      Object.entries(files).map(([path, text]): SourceFile => ({ path, text })),
      text,
    );
  t.match(found({ 'lib/format/a.ts': "import { b } from '../store/b.js';" }), [
    /format must not import/,
  ]);
  t.match(found({ 'lib/store/a.ts': "await import('../trust/b.js');" }), [/store must not import/]);
  t.match(found({ 'lib/tree/a.ts': "import { Pool } from 'undici';" }), [
    /tree must not use undici/,
  ]);
  t.match(found({ 'lib/tree/a.ts': "import x from 'left-pad';" }), [/tree must not use left-pad/]);
  t.match(
    found({
      'lib/tree/a.ts': "import { b } from './b.js';",
      'lib/tree/b.ts': "import { a } from './a.js';",
    }),
    [/cycle: lib\/tree\/a.ts -> lib\/tree\/b.ts -> lib\/tree\/a.ts/],
  );
  t.match(found({ 'lib/tree/a.ts': 'x\n'.repeat(401) }), [/402 lines/]);
  t.match(found({ 'lib/tree/a.ts': `function f() {\n${'  x();\n'.repeat(70)}}\n` }), [
    /a function of 72/,
  ]);
  t.match(found({ 'lib/attic/a.ts': '' }), [/'attic' is no room/, /no line for attic/]);
  t.match(found({ 'lib/tree/a.ts': '' }, ''), [/no line for tree/]);
  t.same(
    found({
      'lib/tree/a.ts': "import type { A } from './a.js';\nimport { x } from '../format/x.js';",
    }),
    [],
  );
  t.end();
});
