import t from 'tap';
import { planCases } from './bench-plan.js';
import { layerBars } from './layer-bars.js';
import { formatMilliseconds, parseDuration } from './sizes.js';

const source = 'http://server/cvmfs/sw.example.org';

void t.test('each combination has a label that says what is its own', (t) => {
  const plan = (flags: Partial<Parameters<typeof planCases>[1]>) =>
    planCases(`${source}@v1`, { clients: '1', ...flags });
  t.match(plan({}), [{ label: 'as it is', source, pin: 'v1', clients: 1 }]);
  t.same(
    plan({ against: [`${source}@v2`], drivers: 'kernel,fuse-native' }).map(({ label }) => label),
    ['@v1, kernel', '@v1, fuse-native', '@v2, kernel', '@v2, fuse-native'],
  );
  t.match(plan({ cacheLimit: '50M,1G', clients: '1,8' }), [
    { label: 'limit 50M, 1 clients', cacheLimit: 50 * 2 ** 20, clients: 1 },
    { label: 'limit 50M, 8 clients', clients: 8 },
    { label: 'limit 1G, 1 clients', cacheLimit: 2 ** 30 },
    { label: 'limit 1G, 8 clients' },
  ]);
  t.end();
});

void t.test('what can not be measured is refused', (t) => {
  const refused = (flags: Partial<Parameters<typeof planCases>[1]>) => {
    t.throws(() => planCases(source, { clients: '1', ...flags }), { code: 'USAGE' });
  };
  refused({ drivers: 'none' });
  refused({ clients: '0' });
  refused({ clients: '1,1' });
  refused({ clients: '257' });
  refused({ cacheLimit: '50M,x' });
  refused({ clients: Array.from({ length: 65 }, (_, index) => String(index + 1)).join(',') });
  t.end();
});

void t.test('times as they are written', (t) => {
  t.equal(parseDuration('20ms'), 20);
  t.equal(parseDuration('5s'), 5000);
  t.equal(parseDuration('1.5m'), 90_000);
  for (const text of ['20', '', 'ms', '-1s', '5 s', '1e3ms'])
    t.throws(() => parseDuration(text), { code: 'USAGE' }, text);
  t.equal(formatMilliseconds(1234), '1.23 s');
  t.end();
});

void t.test('bars are as long as their share', (t) => {
  const lines = layerBars(
    [
      { name: 'kernel request', milliseconds: 100 },
      { name: 'catalog', milliseconds: 25 },
      { name: 'shelf', milliseconds: 0 },
      { name: 'network', milliseconds: 50 },
      { name: 'store', milliseconds: 0 },
    ],
    80,
    false,
  );
  const hashes = lines.map((line) => line.replace(/[^#]/g, '').length);
  t.same(hashes.slice(0, 5), [50, 13, 0, 25, 0]);
  t.match(lines.slice(5), [
    /^ {2}\[kernel request +\]$/,
    /^ {2}\[waiting +\]\[catalog +\]$/,
    /\[network/,
  ]);
  t.ok(lines.every((line) => line.length <= 80));
  t.end();
});
