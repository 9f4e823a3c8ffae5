import t from 'tap';
import { readStateFields, stateFormat, type StateFormats } from './state-format.js';

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));

/** As if this were the third format: the second one called a name what is a title now, the first one had none. */
const formats: StateFormats = {
  current: 2,
  steps: {
    0: (fields) => ({ ...fields, name: 'unnamed' }),
    1: ({ name, ...fields }) => ({ ...fields, title: name }),
  },
};

t.test('an older state is taken over, step by step', (t) => {
  const read = (value: unknown) => readStateFields(bytes(value), formats);
  t.match(read({ format: 0, size: 3 }), { fields: { size: 3, title: 'unnamed' }, isNewer: false });
  t.match(read({ format: 1, name: 'x' }), { fields: { title: 'x' }, isNewer: false });
  t.same(read({ format: 2, name: 'x' })?.fields, { format: 2, name: 'x' }, 'as it is');
  t.end();
});

t.test('a later state is told from a damaged one', (t) => {
  t.match(readStateFields(bytes({ format: stateFormat + 1, a: 1 })), {
    fields: { a: 1 },
    isNewer: true,
  });
  const gap: StateFormats = { current: 2, steps: { 0: (fields) => fields } };
  t.equal(readStateFields(bytes({ format: 0 }), gap), undefined, 'no step leads here');
  for (const format of [-1, 0.5, '1', null, undefined, Number.MAX_VALUE]) {
    t.equal(readStateFields(bytes({ format })), undefined, String(format));
  }
  for (const text of ['', '[]', 'null', '1', '{"format":1', '['.repeat(100_000)]) {
    t.equal(readStateFields(Buffer.from(text)), undefined, text.slice(0, 20));
  }
  t.end();
});
