import ts from 'typescript';
import type { SourceFile } from './tidy.js';

// What the tidy test reads from the syntax of a file, not from its lines.

function parse({ path, text }: SourceFile): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
}

export interface Measured {
  /** Of its first line, from 1. */
  readonly line: number;
  readonly lines: number;
}

/** Functions, methods, accessors, constructors and arrow functions with their lengths, nested ones too. */
export function functionsOf(file: SourceFile): Measured[] {
  const source = parse(file);
  const lineAt = (position: number): number => source.getLineAndCharacterOfPosition(position).line;
  const found: Measured[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const first = lineAt(node.getStart(source));
      found.push({ line: first + 1, lines: lineAt(node.getEnd()) - first + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** Names that a file declares and exports; what it only passes on from others does not count. */
export function exportedNames(file: SourceFile, of: 'all' | 'values' = 'all'): string[] {
  return parse(file).statements.flatMap((statement) => {
    const isExported =
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true;
    if (!isExported) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.flatMap(({ name }) =>
        ts.isIdentifier(name) ? [name.text] : [],
      );
    }
    const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
    const named =
      (isType && of === 'all') ||
      ts.isFunctionDeclaration(statement) ||
      ts.isClassDeclaration(statement);
    return named && statement.name !== undefined ? [statement.name.text] : [];
  });
}

/** Values that no other file names: they need no export. Types may be exported for what is made of them. */
export function lonelyExports(files: readonly SourceFile[]): string[] {
  const words = files.map(({ path, text }) => ({ path, words: new Set(text.match(/[\w$]+/g)) }));
  return files.flatMap((file) =>
    exportedNames(file, 'values')
      .filter((name) => !words.some((other) => other.path !== file.path && other.words.has(name)))
      .map((name) => `${file.path}: nobody else uses ${name}`),
  );
}

/** Names that several files export, with those files: one word is to mean one thing. */
export function homonyms(files: readonly SourceFile[]): Map<string, string[]> {
  const places = new Map<string, string[]>();
  for (const file of files) {
    // An overloaded function has one name several times.
    for (const name of new Set(exportedNames(file))) {
      places.set(name, [...(places.get(name) ?? []), file.path]);
    }
  }
  return new Map([...places].filter(([, paths]) => paths.length > 1));
}
