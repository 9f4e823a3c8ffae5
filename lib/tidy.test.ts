import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkout } from './testing/genuine.js';
import { isTest, sourceFiles, violations, type SourceFile } from './testing/house/tidy.js';
import { exportedNames, homonyms, lonelyExports } from './testing/house/tidy-syntax.js';

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
  t.match(
    found({
      'lib/trust/judge/a.ts': "import type { B } from '../memory/b.js';",
      'lib/trust/memory/b.ts': "import { c } from '../judge/c.js';",
    }),
    [/folders in a circle: lib\/trust\/judge -> lib\/trust\/memory -> lib\/trust\/judge/],
  );
  t.match(found({ 'lib/trust/cellar/a.ts': '' }), [/no line for trust\/cellar/]);
  t.match(found({ 'lib/tree/a.ts': 'x\n'.repeat(401) }), [/402 lines/]);
  t.match(found({ 'lib/tree/a.ts': `function f() {\n${'  x();\n'.repeat(70)}}\n` }), [
    /a function of 72/,
  ]);
  const body = '    x();\n'.repeat(69);
  for (const text of [
    `class A {\n  f(): void {\n${body}  }\n}`,
    `class A {\n  constructor() {\n${body}  }\n}`,
    `const a = {\n  get f() {\n${body}  },\n};`,
    `const f = () => {\n${body}};\n`,
    `g(async (x) =>\n  h([\n${body.replaceAll(';', ',')}  ]),\n);\n`,
    `export default async function* () {\n${body}}\n`,
  ]) {
    t.match(found({ 'lib/tree/a.ts': text }), [/a function of 7[12]/], text.slice(0, 30));
    t.same(found({ 'lib/tree/a.test.ts': text }), [], 'tests are measured as files');
  }
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

// Names that several files export, and how many do. The list may only become shorter: give what is new another
// name, and take out what is told apart now. `register` is what each command has.
const known: Readonly<Record<string, number>> = {
  register: 36,
};

t.test('one exported name means one thing', (t) => {
  const files = sourceFiles(checkout).filter(
    ({ path }) => /^(lib|bin)\//.test(path) && !path.startsWith('lib/testing/') && !isTest(path),
  );
  const found = homonyms(files);
  for (const [name, paths] of found) {
    t.ok(paths.length <= (known[name] ?? 1), `${name} is exported by ${paths.join(', ')}`);
  }
  const shrunk = Object.keys(known).filter(
    (name) => (found.get(name)?.length ?? 1) < (known[name] ?? 1),
  );
  t.same(shrunk, [], 'told apart now: take them out of the list above, or lower their number');
  t.end();
});

t.test('what is exported is used elsewhere', (t) => {
  t.same(lonelyExports(sourceFiles(checkout)), []);
  const text = 'export const one = 1; export function two() {} export type C = 1;';
  const files = [
    { path: 'a.ts', text },
    { path: 'b.ts', text: "import { two } from './a.js';" },
  ];
  t.same(lonelyExports(files), ['a.ts: nobody else uses one']);
  t.end();
});

t.test('what is exported, in each form, is seen', (t) => {
  const text = `
    export const a = 1, b = 2; export function c() {} export async function* d() {}
    export class E {} export interface F {} export type G = 1; export declare const h: 1;
    const no = 1; function neither() {} export { no as renamed } from './x.js'; export * from './y.js';`;
  t.same(exportedNames({ path: 'a.ts', text }), ['a', 'b', 'c', 'd', 'E', 'F', 'G', 'h']);
  const both = [
    { path: 'a.ts', text: 'export function f(x: 1): 1;\nexport function f(x: 2) {}' },
    { path: 'b.ts', text: 'export type f = 1; export const g = 1;' },
  ];
  t.same([...homonyms(both)], [['f', ['a.ts', 'b.ts']]]);
  t.end();
});
