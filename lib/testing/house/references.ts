import { dirname, join } from 'node:path';

/** References from the code to sections of the documents, and from the documents to files of the project. */

export interface Document {
  /** Relative to the checkout, such as `docs/format.md`. */
  readonly path: string;
  readonly text: string;
}

/** A document and the number of one of its sections, as comments cite them: `docs/format.md, 5.7`. */
const reference = /(docs\/[a-z-]+\.md),\s*(?:\*\s*|\/\/\s*)?(\d+(?:\.\d+)?)/g;
// Numbers that say nothing of where they stand, and documents that are not the project's own.
const vague = /format document|design,? section|(?<!\w)\((?:[1-9]|1[0-2])\.\d{1,2}\)/;

/** Every reference that leads nowhere, and every one that does not say which document it means; one line each. */
export function lostReferences(
  files: readonly Document[],
  documents: readonly Document[],
): string[] {
  const sections = new Map(documents.map(({ path, text }) => [path, sectionsOf(text)]));
  return files.flatMap(({ path, text }) => [
    ...[...text.matchAll(reference)].flatMap(([, document = '', section = '']) =>
      sections.get(document)?.has(section) === true
        ? []
        : [`${path}: there is no section ${section} in ${document}`],
    ),
    ...comments(text)
      .filter((line) => vague.test(line))
      .map((line) => `${path}: which document? ${line.trim()}`),
  ]);
}

// `lib/store/want.ts`, `store/want.ts`, `docs/format.md`: a file of the project, as documents name it.
const namedFile = /`((?:[\w.-]+\/)*[\w.-]+\.(?:ts|md))`/g;
// [G, T store/inflate, trust/judge]: tests of rooms, wherever in their room they lie.
const namedTests = /\[(?:[GM], )*T ([a-z0-9/, -]+)\]/g;
const link = /\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g;

/**
 * What documents name and is not there: files in backticks, links, and the tests that stand as sources; one
 * line each.
 * @param paths of all files of the project, relative to the checkout.
 */
export function lostPaths(documents: readonly Document[], paths: readonly string[]): string[] {
  const isThere = (name: string): boolean =>
    paths.some((path) => path === name || path === `lib/${name}` || path.endsWith(`/${name}`));
  const isTest = (name: string): boolean => {
    const [room = '', ...rest] = name.split('/');
    const file = `${rest.at(-1) ?? ''}.test.ts`;
    const folders = [`lib/${room}/`, `${room}/`];
    return paths.some(
      (path) => folders.some((one) => path.startsWith(one)) && path.endsWith(`/${file}`),
    );
  };
  return documents.flatMap(({ path, text }) => {
    const from = path.split('/').slice(0, -1);
    const linked = (target: string): boolean => {
      const wanted = join(...from, target).replace(/\/$/, '');
      return paths.some((one) => one === wanted || one.startsWith(`${wanted}/`));
    };
    return [
      ...found(text, namedFile).filter((name) => !isThere(name)),
      ...found(text, link).filter((target) => !linked(target)),
      ...found(text, namedTests)
        .flatMap((list) => list.split(', '))
        // `[T name]` says what it means.
        .filter((name) => name !== 'name' && !isTest(name))
        .map((name) => `T ${name}`),
    ].map((name) => `${path}: there is no ${name}`);
  });
}

const codeBlock = /^[ \t]*```ts\n([^]*?)^[ \t]*```/gm;
const relativeImport = /(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;

/**
 * Imports in code blocks of documents that lead to no file; one line each. They are relative to the file that was named
 * last before the block, in backticks.
 * @param paths of all files of the project, relative to the checkout.
 */
export function lostImports(documents: readonly Document[], paths: readonly string[]): string[] {
  const there = new Set(paths);
  return documents.flatMap(({ path, text }) =>
    [...text.matchAll(codeBlock)].flatMap((block) => {
      const imports = found(block[1] ?? '', relativeImport);
      if (imports.length === 0) return [];
      const from = found(text.slice(0, block.index), namedFile).at(-1);
      if (from === undefined) return [`${path}: of which file is the code with ${imports.join()}?`];
      return imports
        .filter((name) => !there.has(join(dirname(from), name.replace(/\.js$/, '.ts'))))
        .map((name) => `${path}: ${from} can't import ${name}`);
    }),
  );
}

function found(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, name = '']) => name);
}

function sectionsOf(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^#+ (\d+(?:\.\d+)?) /gm)].map(([, number = '']) => number));
}

function comments(text: string): string[] {
  return text.split('\n').filter((line) => /^\s*(\*|\/\*\*|\/\/)/.test(line));
}
