import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkout, genuineDirectory } from '../lib/testing/genuine.js';
import { sourceFiles } from '../lib/testing/house/tidy.js';
import { compiled } from './test-files.js';

// What the outcome of a test depends on, as digests: equal inputs, equal outcome.

/** SHA-256 of some texts, in hexadecimal. */
export function digest(texts: Iterable<string>): string {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text.length}\0`).update(text);
  return hash.digest('hex');
}

/** What counts for everything: Node, the dependencies, the environment that the tests look at. */
export function surroundings(): string {
  const names = Object.keys(process.env).filter((name) => /^(PINFS_|ALWAYS_MISS$|TZ$)/.test(name));
  const variables = names.sort().map((name) => `${name}=${process.env[name] ?? ''}`);
  const texts = ['package.json', 'package-lock.json'].map((name) => read(join(checkout, name)));
  return digest([process.version, process.arch, ...variables, ...texts]);
}

/** The data that tests read: the fixtures by their bytes, the genuine repositories by size and time. */
export function testData(): string {
  const fixtures = join(checkout, 'native-test', 'fixtures');
  return digest([
    ...filesBelow(fixtures).map((path) => digest([path, read(path)])),
    ...filesBelow(genuineDirectory).map((path) => {
      const { size, mtimeMs } = statSync(path);
      return `${path} ${size} ${mtimeMs}`;
    }),
  ]);
}

/** All sources, and what is written about them. */
export function allSources(): string {
  const others = ['eslint.config.js', 'tsconfig.json', '.prettierrc', 'lib/README.md'];
  return digest([
    ...sourceFiles(checkout).map(({ path, text }) => digest([path, text])),
    ...others.map((name) => read(join(checkout, name))),
  ]);
}

/** A test file and all compiled files that it names, directly or through others, relative to the checkout. */
export function closure(test: string): string[] {
  const found = new Set<string>();
  const open = [compiled(test)];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    if (found.has(path) || !existsSync(join(checkout, path))) continue;
    found.add(path);
    // Any text that looks like a module: workers are named in a URL.
    const names = read(join(checkout, path)).matchAll(/['"](\.{1,2}\/[^'"\n]+\.js)['"]/g);
    for (const [, name = ''] of names) open.push(join(dirname(path), name));
  }
  return [...found].sort();
}

/** Those of some test files that name a source, directly or through others: what only it does shows in no other one. */
export function testsThrough(tests: readonly string[], source: string): string[] {
  const wanted = compiled(source);
  if (!existsSync(join(checkout, wanted))) throw new Error(`there is no ${source}`);
  return tests.filter((test) => closure(test).includes(wanted));
}

function read(path: string): string {
  return readFileSync(path, 'latin1');
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
