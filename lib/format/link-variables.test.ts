import fc from 'fast-check';
import t from 'tap';
import { expandTarget, linkVariables } from './link-variables.js';

void t.test('variables are expanded as the reference does', (t) => {
  const variables = linkVariables({ FOO: '1', EMPTY: '', 'A:x': 'colon', UML: 'ä' });
  const examples: [string, string][] = [
    ['a$(X:-b)c', 'abc'],
    ['$(FOO)/$(FOO:-z)', '1/1'],
    ['$(EMPTY:-q)|', '|'],
    ['$(X:-a:-b)', 'a:-b'],
    ['$(X:-$(FOO))', '$(FOO)'],
    ['$$(FOO)', '$1'],
    ['$()', ''],
    ['$(X', '$(X'],
    ['$(X$(FOO', '$(X$(FOO'],
    ['a$(', 'a$('],
    ['x$', 'x$'],
    ['$FOO ${FOO}', '$FOO ${FOO}'],
    ['$(A:x)', 'colon'],
    ['$(FOO)$(', '1$('],
    ['', ''],
    ['$(UML)\xff', '\xc3\xa4\xff'],
  ];
  for (const [target, expected] of examples)
    t.equal(expandTarget(target, variables), expected, target);
  t.end();
});

void t.test('names of every object are no variables', (t) => {
  const variables = linkVariables({});
  t.equal(expandTarget('$(constructor)$(__proto__:-d)', variables), 'd');
  t.end();
});

void t.test('any target is expanded, and one without `$(` stays as it is', (t) => {
  const piece = fc.constantFrom('$', '(', ')', ':-', 'A', '$(', '$(A)', '\0', '\xff', '/');
  const variables = linkVariables({ A: '$(A)' });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const target = pieces.join('');
      const expanded = expandTarget(target, variables);
      if (!target.includes('$(')) return expanded === target;
      return expanded.length <= target.length * 4;
    }),
  );
  t.pass('held');
  t.end();
});
