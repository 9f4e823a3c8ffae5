import fc from 'fast-check';
import t from 'tap';
import { globMatches } from './glob.js';

/** The meaning, written down shortly; it may take for ever where stars are many. */
function meant(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`, 's');
}

void t.test('stars, question marks, and nothing else that is special', (t) => {
  const matching: [pattern: string, name: string][] = [
    ['', ''],
    ['*', ''],
    ['**', 'x'],
    ['*.so', 'libm.so'],
    ['lib*.so*', 'libm.so.6'],
    ['a?c', 'a\xffc'],
    ['a?c', 'a\nc'],
    ['*', 'two\nlines'],
    ['[ab]*', '[ab]c'],
    ['a\\*', 'a\\b'],
    ['*ab', 'aab'],
    ['*a*b*', 'xxaxxbxx'],
  ];
  for (const [pattern, name] of matching) t.ok(globMatches(pattern, name), `${pattern} ${name}`);
  const others: [pattern: string, name: string][] = [
    ['', 'x'],
    ['?', ''],
    ['*?', ''],
    ['*.so', 'libm.so.6'],
    ['[ab]*', 'ac'],
    ['a.c', 'abc'],
    ['a', 'A'],
  ];
  for (const [pattern, name] of others) t.notOk(globMatches(pattern, name), `${pattern} ${name}`);
  t.end();
});

void t.test('any pattern and name mean what a regular expression says', (t) => {
  const letters = fc.constantFrom('a', 'b', '-', '.', '[', '\\', '\xe9', '\n');
  const name = fc.string({ unit: letters, maxLength: 9 });
  const pattern = fc.string({ unit: fc.oneof(letters, fc.constantFrom('*', '?')), maxLength: 7 });
  fc.assert(
    fc.property(pattern, name, (pattern, name) => {
      return globMatches(pattern, name) === meant(pattern).test(name);
    }),
    { numRuns: 20_000 },
  );
  // Few letters: most of these nearly match.
  const few = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
  const stars = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
  fc.assert(
    fc.property(stars, few, (pattern, name) => {
      return globMatches(pattern, name) === meant(pattern).test(name);
    }),
    { numRuns: 50_000 },
  );
  t.end();
});

void t.test('no pattern takes long for the longest name', (t) => {
  const name = '-'.repeat(255);
  const begun = performance.now();
  for (const pattern of ['*-*-*-*-*.so', `${'*-'.repeat(100)}x`, `*${'-'.repeat(127)}x`]) {
    t.notOk(globMatches(pattern, name));
  }
  t.ok(globMatches(`${'*-?'.repeat(80)}*`, name));
  t.ok(performance.now() - begun < 1000, 'it would be ages');
  t.end();
});
