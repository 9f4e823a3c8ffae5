import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkout } from './testing/genuine.js';
import { lostReferences, type Document } from './testing/references.js';
import { sourceFiles } from './testing/tidy.js';

const documents: Document[] = readdirSync(join(checkout, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => ({
    path: `docs/${name}`,
    text: readFileSync(join(checkout, 'docs', name), 'utf8'),
  }));

const own = ['references.ts', 'references.test.ts'];

void t.test('what comments refer to is there', (t) => {
  const files = sourceFiles(checkout).filter(
    ({ path }) => !own.some((name) => path.endsWith(name)),
  );
  t.same(lostReferences([...files, ...documents], documents), []);
  t.end();
});

void t.test('what is not there is found', (t) => {
  const found = (text: string): string[] => lostReferences([{ path: 'a.ts', text }], documents);
  t.same(found('// (docs/format.md, 5.7)\n * docs/format.md, 3.6'), []);
  t.match(found('// (docs/format.md, 5.99)'), ['a.ts: there is no section 5.99 in docs/format.md']);
  t.match(found('/** docs/none.md, 1 */'), [/no section 1 in docs\/none.md/]);
  t.match(found('/** (docs/format.md,\n * 77.1) */'), [/no section 77.1/]);
  t.match(found(' * as the format document says'), [/which document/]);
  t.match(found('// they are groups (5.7)'), [/which document/]);
  t.match(found('// (design, section 3)'), [/which document/]);
  t.end();
});
