import { readdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { checkout } from '../lib/testing/genuine.js';

/** Where tests lie when nothing else is asked for. */
const testFolders = ['lib', 'bin', 'tools', 'bench', 'examples', 'native-test'] as const;

/**
 * The test files that a word means: a folder or a file, of the sources or of `dist`, relative to the
 * checkout or absolute. They are looked for among the sources, so that what was compiled from a file that is
 * gone since is not run. Without words: all of them.
 * @throws Error where a word means no test
 */
export function testFiles(words: readonly string[]): string[] {
  const found = (words.length === 0 ? testFolders : words).flatMap(filesOf);
  return [...new Set(found)];
}

/** The compiled file of a source, relative to the checkout. */
export function compiled(source: string): string {
  return join('dist', source.replace(/\.ts$/, '.js'));
}

function filesOf(word: string): string[] {
  const path = relative(checkout, resolve(checkout, word));
  const source = path.replace(/^dist(\/|$)/, '').replace(/\.js$/, '.ts');
  const found = isFolder(join(checkout, source)) ? testsBelow(source) : [source];
  const tests = found.filter((name) => name.endsWith('.test.ts') && exists(join(checkout, name)));
  if (tests.length === 0) throw new Error(`no tests in '${word}'`);
  return tests.sort();
}

function testsBelow(folder: string): string[] {
  if (folder === '') return testFolders.flatMap(testsBelow);
  return readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
    join(folder, name),
  );
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
