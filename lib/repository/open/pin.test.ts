import t from 'tap';
import { parseDate, parsePin } from './pin.js';

const hash = '2467a386d61b71ffa28f54b61a5bae4c1a08ce7c';
const seconds = (iso: string): number => Date.parse(iso) / 1000;

t.test('a pin is a root hash, or a name that may be a date as well', (t) => {
  t.same(parsePin(undefined), { kind: 'head' });
  t.match(parsePin(hash), { kind: 'hash', hash: { algorithm: 'sha1', text: hash } });
  t.match(parsePin(`${hash}-shake128`), { kind: 'hash', hash: { algorithm: 'shake128' } });
  t.match(parsePin('2015-legacy'), { kind: 'name', text: '2015-legacy', date: undefined });
  t.match(parsePin('2015-09-21'), {
    kind: 'name',
    date: { seconds: seconds('2015-09-21T23:59:59Z') },
  });
  t.end();
});

t.test('what looks like a hash and is none is refused, not taken for a tag', (t) => {
  t.throws(() => parsePin(''), { code: 'PIN_MALFORMED' });
  t.throws(() => parsePin(hash.toUpperCase()), { code: 'PIN_MALFORMED' });
  t.throws(() => parsePin(`${hash}-rmd16`), { code: 'PIN_MALFORMED' });
  t.throws(() => parsePin(`${hash}-sha256`), { code: 'PIN_MALFORMED' });
  t.end();
});

t.test('dates are UTC, and mean the last second of what they name', (t) => {
  const cases: [string, string | undefined][] = [
    ['2016-02-29', '2016-02-29T23:59:59Z'],
    ['2015-02-29', undefined],
    ['2015-13-01', undefined],
    ['2015-06-10T12:00', '2015-06-10T12:00:59Z'],
    ['2015-06-10T12:00:05Z', '2015-06-10T12:00:05Z'],
    ['2015-06-10 12:00:05.25', '2015-06-10T12:00:05Z'],
    ['2015-06-10T12:00:05+02:00', '2015-06-10T10:00:05Z'],
    ['2015-06-10T12:00:05-0130', '2015-06-10T13:30:05Z'],
    ['2015-06-10T24:00:00Z', undefined],
    ['2015-06-10T12:60:00Z', undefined],
    ['yesterday', undefined],
  ];
  for (const [text, meant] of cases) {
    t.equal(parseDate(text)?.seconds, meant === undefined ? undefined : seconds(meant), text);
  }
  t.end();
});
