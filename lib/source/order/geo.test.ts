import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { genuine, needsGenuine } from '../../testing/genuine.js';
import { geoPath, geoQuestion, parseGeoAnswer, type GeoQuestion } from './geo.js';

const question = (servers: readonly string[], fallbacks: readonly string[] = [], only = false) => {
  const asked = geoQuestion(servers, fallbacks, only);
  if (asked === undefined) throw new Error('there is no question');
  return asked;
};
const order = (answer: string, asked: GeoQuestion): unknown =>
  parseGeoAnswer(Buffer.from(answer), asked);

void t.test('what genuine servers say', needsGenuine, (t) => {
  const base = genuine('production', 'server');
  const files = readdirSync(base, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.includes('/geo/'))
    .map((path) => join(base, path))
    .filter((path) => statSync(path).isFile());
  t.equal(files.length, 7);
  for (const path of files) {
    const hosts = basename(path).split(',');
    const asked = question(hosts);
    t.equal(geoPath(asked, 'x'), path.slice(path.indexOf('/api/') + 1));
    const bytes = readFileSync(path);
    const told = parseGeoAnswer(bytes, asked);
    const numbers = bytes.toString().trim().split(',');
    t.same(told, { servers: numbers.map((number) => Number(number) - 1), fallbacks: [] });
  }
  t.end();
});

void t.test('servers go by the alphabet, fallback proxies as they stand', (t) => {
  const asked = question(['s2.example.org', '[2001:db8::1]', 's1.example.org'], ['p2', 'p1']);
  t.same(asked.names, ['2001:db8::1', 's1.example.org', 's2.example.org', 'p2', 'p1']);
  t.same(order('5,3,1,2,4\n', asked), { servers: [0, 1, 2], fallbacks: [1, 0] });
  const behind = question(['b', 'a'], ['p', 'q'], true);
  t.same(behind.names, ['a', 'b', '+PXYSEP+', 'p', 'q']);
  t.same(order('2,1,5,4,3', behind), { servers: [0, 1], fallbacks: [1, 0] });
  t.same(question(['a'], ['p', 'q'], true).names, ['a', 'p', 'q'], 'one server needs no separator');
  t.equal(geoPath(asked, '../x y').split('/')[3], '..%2Fx%20y');
  t.equal(geoQuestion(['a'], ['p'], false), undefined);
  for (const host of ['', 'a_b', 'a/b', 'a,b', 'a'.repeat(257)])
    t.equal(geoQuestion([host, 'b'], [], false), undefined, host);
  t.end();
});

void t.test('what is no order of the hosts is none', (t) => {
  const asked = question(['a', 'b', 'c']);
  const wrong = [
    '',
    '\n',
    '1,1,2',
    '0,1,2',
    '1,2',
    '1,2,x',
    '1, 2,3',
    '1,2,3\n\n',
    '1,2,3,',
    '4,1,2',
  ];
  for (const answer of [...wrong, '<html>', '1,2,3\r\n', '-1,2,3', '1,2,3,4', '1\n2,3', '01x,2,3'])
    t.match(order(answer, asked), { code: 'SOURCE_STATUS' }, JSON.stringify(answer));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
      const told = parseGeoAnswer(Buffer.from(bytes), asked);
      return 'code' in told || [...told.servers].sort().join() === '0,1,2';
    }),
  );
  t.end();
});
