/** References from the code to sections of the documents. */

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

function sectionsOf(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^#+ (\d+(?:\.\d+)?) /gm)].map(([, number = '']) => number));
}

function comments(text: string): string[] {
  return text.split('\n').filter((line) => /^\s*(\*|\/\*\*|\/\/)/.test(line));
}
