import t from 'tap';
import { mountOptionTable } from './mount-options.js';
import { fstabName, pathsOf, rowsOn, valuesOf, withPaths } from './rows.js';
import { sourceOptionTable } from './source-options.js';
import { mountTables } from './tables.js';

void t.test('a default stands where nothing is given, and what is usual is left out', (t) => {
  t.same(valuesOf(mountOptionTable, { allowOther: true }), {
    driver: 'auto',
    allowOther: true,
    suid: false,
    dev: false,
    noXattrs: false,
  });
  t.same(valuesOf(sourceOptionTable, { inodes: 63, deadline: 30_000, minRate: 2048 }), {
    minRate: 2048,
  });
  t.end();
});

void t.test('every path is found and can be changed, and nothing else is', (t) => {
  const given = { keys: ['a', 'b'], fqrn: 'c', external: 'd', trustAt: 'e', cacheLimit: 1 };
  t.same(
    pathsOf(sourceOptionTable, given).map(({ row, path }) => `${row.flag} ${path}`),
    ['--key a', '--key b', '--external d'],
  );
  t.same(
    withPaths(sourceOptionTable, given, (flag, path) => `${flag}:${path}`),
    { ...given, keys: ['--key:a', '--key:b'], external: '--external:d' },
  );
  t.end();
});

void t.test('a name is one option, on the command line and for mount(8)', (t) => {
  const rows = mountTables.flatMap((table) => Object.entries(table));
  for (const of of [
    rows.map(([name]) => name),
    rows.map(([, { flag }]) => flag),
    rows.flatMap(([, row]) => fstabName(row) ?? []),
  ])
    t.equal(new Set(of).size, of.length);
  for (const [, row] of rows) {
    t.equal(row.value === undefined, row.kind === 'flag', row.flag);
    t.equal(row.choices === undefined, row.kind !== 'choice', row.flag);
  }
  t.equal(fstabName(sourceOptionTable.cacheLimit), 'cache_limit');
  t.equal(fstabName(mountOptionTable.suid), 'allow_suid');
  t.equal(fstabName(mountOptionTable.trace), undefined);
  t.same(Object.keys(rowsOn(mountOptionTable, 'bench', false)), ['driver']);
  t.notOk('inodes' in rowsOn(sourceOptionTable, 'ls'));
  t.end();
});
