import type { ShellCommand, ShellWord, WordPart } from './syntax.js';

const declaredName = /^([A-Za-z_][A-Za-z0-9_]*)(\+?=.*)?$/s;

/** The names that a command may set, whichever way it goes. */
export function namesSet(command: ShellCommand): string[] {
  switch (command.kind) {
    case 'simple': {
      const [first, ...rest] = command.words;
      const declares = ['export', 'readonly', 'unset', 'eval'].includes(beginning(first));
      return [
        ...command.assignments.flatMap(({ name, value }) => [name, ...namesIn(value.parts)]),
        ...command.words.flatMap(({ parts }) => namesIn(parts)),
        ...(declares ? rest.flatMap((word) => declaredName.exec(beginning(word))?.[1] ?? []) : []),
      ];
    }
    case 'if':
      return [
        ...command.branches.flatMap(({ condition, body }) => [...condition, ...body]),
        ...command.otherwise,
      ].flatMap(namesSet);
    case 'case':
      return command.branches.flatMap(({ body }) => body).flatMap(namesSet);
    case 'and':
    case 'or':
      return [command.left, command.right].flatMap(namesSet);
    case 'not':
      return namesSet(command.command);
    case 'group':
    case 'refused':
      return command.body.flatMap(namesSet);
  }
}

/** The text with which a word begins. */
function beginning(word: ShellWord | undefined): string {
  const first = word?.parts[0];
  return first?.kind === 'text' ? first.text : '';
}

/** Those of `${NAME:=word}`. */
function namesIn(parts: readonly WordPart[]): string[] {
  return parts.flatMap((part) => {
    if (part.kind === 'arithmetic') return namesIn(part.parts);
    if (part.kind !== 'parameter' || part.operator === undefined) return [];
    const inner = namesIn(part.operator.word.parts);
    return part.operator.symbol === '=' ? [part.name, ...inner] : inner;
  });
}
