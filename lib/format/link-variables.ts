import { fromText, type ByteString } from './bytes.js';

/** Variables by name, both as bytes. */
export type LinkVariables = ReadonlyMap<ByteString, ByteString>;

/** Variables as a user gives them (text), ready for `expandTarget`. */
export function linkVariables(given: Readonly<Record<string, string>>): LinkVariables {
  return new Map(
    Object.entries(given).map(([name, value]) => [fromText(name), fromText(value)] as const),
  );
}

/**
 * Replaces `$(NAME)` and `$(NAME:-default)` in a link's target (docs/format.md, 5.8): up to the next
 * `)`, no nesting, no recursion; unset gives the default, set but empty gives nothing.
 */
export function expandTarget(target: ByteString, variables: LinkVariables): ByteString {
  let result = '';
  let position = 0;
  for (;;) {
    const start = target.indexOf('$(', position);
    // A `$(` that ends the target is literal, and so is one that is never closed.
    const end = start === -1 || start + 2 >= target.length ? -1 : target.indexOf(')', start + 2);
    // Without a closing parenthesis behind this one there is none behind a later one either.
    if (end === -1) return result + target.slice(position);
    const inside = target.slice(start + 2, end);
    const split = inside.indexOf(':-');
    const name = split === -1 ? inside : inside.slice(0, split);
    const fallback = split === -1 ? '' : inside.slice(split + 2);
    result += target.slice(position, start) + (variables.get(name) ?? fallback);
    position = end + 1;
  }
}
