import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { checkout } from './testing/genuine.js';
import {
  lostImports,
  lostPaths,
  lostReferences,
  type Document,
} from './testing/house/references.js';
import { sourceFiles } from './testing/house/tidy.js';

const documents: Document[] = readdirSync(join(checkout, 'docs'))
  .filter((name) => name.endsWith('.md'))
  .map((name) => documentAt(`docs/${name}`));

function documentAt(path: string): Document {
  return { path, text: readFileSync(join(checkout, path), 'utf8') };
}

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

const folders = ['.', 'lib', 'bin', 'docs', 'bench', 'native-test', 'share', 'tools', 'examples'];

/** Every file that documents may name, relative to the checkout. */
const paths: string[] = folders
  .flatMap((folder) =>
    readdirSync(join(checkout, folder), { recursive: folder !== '.', withFileTypes: true }),
  )
  .filter((entry) => entry.isFile())
  .map((entry) => relative(checkout, join(entry.parentPath, entry.name)));

// A test that a reader of hacking.md writes.
const notYet = ['docs/hacking.md: there is no lib/repository/mended.test.ts'];

function allDocuments(): Document[] {
  const others = [
    'README.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'lib/README.md',
    'bench/README.md',
  ];
  const decisions = readdirSync(join(checkout, 'docs', 'decisions')).map(
    (name) => `docs/decisions/${name}`,
  );
  return [...documents, ...[...others, ...decisions].map(documentAt)];
}

void t.test('what documents name is there', (t) => {
  t.same(
    lostPaths(allDocuments(), paths).filter((line) => !notYet.includes(line)),
    [],
  );
  t.end();
});

void t.test('what the code in documents imports is there', (t) => {
  t.same(lostImports(allDocuments(), paths), []);
  const hacking = documentAt('docs/hacking.md').text;
  t.match(hacking, /```ts\nimport t from 'tap';\nimport \{[^}]*\} from '\.\.?\//, 'there is some');
  const lost = (text: string): string[] => lostImports([{ path: 'docs/a.md', text }], paths);
  const block = (name: string): string => `\`\`\`ts\nimport { a } from '${name}';\n\`\`\`\n`;
  const named = 'A new file, `lib/store/new.test.ts`:\n\n';
  t.same(lost(named + block('./want.js') + block('../testing/bench.js') + block('tap')), []);
  t.match(lost(named + block('../want.js')), [/lib\/store\/new.test.ts can't import ..\/want.js/]);
  t.match(lost(block('./want.js')), [/of which file/]);
  t.end();
});

void t.test('what documents name and is not there is found', (t) => {
  const lost = (text: string): string[] => lostPaths([{ path: 'docs/a.md', text }], paths);
  t.same(
    lost(
      '`lib/format/hash.ts`, `format/hash.ts`, [T format/hash, store/open] [x](format.md#1-where)',
    ),
    [],
  );
  t.match(lost('`lib/format/none.ts` `none/hash.ts`'), [/no lib\/format\/none.ts/, /none\/hash/]);
  t.match(lost('[G, T format/hash, store/none]'), ['docs/a.md: there is no T store/none']);
  t.match(lost('[x](../lib/none.md)'), [/no ..\/lib\/none.md/]);
  t.end();
});

void t.test('the glossary is short, and the decisions are listed by their titles', (t) => {
  const words = [...documentAt('docs/glossary.md').text.matchAll(/^\| ([^|-]+) \|/gm)]
    .map(([, word]) => word)
    .filter((word) => word !== 'word');
  t.ok(words.length > 20 && words.length <= 40, `${words.length} words`);
  t.equal(new Set(words).size, words.length, 'each once');
  const { text } = documentAt('lib/README.md');
  for (const name of readdirSync(join(checkout, 'docs', 'decisions'))) {
    const [, title = ''] = /^# \d+\. (.*)$/m.exec(documentAt(`docs/decisions/${name}`).text) ?? [];
    t.match(text, `[${title}](../docs/decisions/${name})`);
  }
  t.end();
});
