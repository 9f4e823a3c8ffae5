import t from 'tap';
import { stubMountStatus } from '../../lib/testing/fakes/stub-status.js';
import { headLines, rowLine, tableLines, type Column } from './table.js';
import { statusColumns, statusRow, watchColumns, watchRow } from './status-table.js';

const columns: readonly Column[] = [
  { head: 'name', width: 6 },
  { head: 'size', right: true, width: 5 },
  { head: 'note' },
];

void t.test('columns are as wide as their cells, numbers to the right, nothing behind', (t) => {
  const rows = [
    ['a', '1', ''],
    ['long name', '12345', 'said'],
  ];
  t.same(tableLines(columns, rows, false), ['a              1', 'long name  12345  said']);
  t.same(tableLines(columns, rows, true)[0], 'NAME        SIZE  NOTE');
  t.same(tableLines(columns, [], true), [], 'heads over nothing help nobody');
  const wide = tableLines(
    columns,
    [
      ['x'.repeat(60), '1', 'a'],
      ['y', '2', 'b'],
    ],
    false,
  );
  t.equal(wide[1], 'y  2  b', 'a cell that is far too wide moves its own row alone');
  t.end();
});

void t.test('rows that come one by one have the widths that were said', (t) => {
  t.same(headLines(columns, true), ['NAME     SIZE  NOTE']);
  t.same(headLines(columns, false), []);
  t.equal(rowLine(columns, ['a', '1', 'b']), 'a           1  b');
  t.end();
});

void t.test('mounts are a row each, and their figures those since the last one', (t) => {
  const before = stubMountStatus({ hits: 10, misses: 10, bytes: 1000, requests: 100 });
  const after = stubMountStatus({ hits: 13, misses: 11, bytes: 5096, requests: 150 });
  const sample = (at: number, mount: typeof after) => ({ at, mounts: [{ mount, queue: 3 }] });
  const [now, last] = [sample(3000, after), sample(1000, before)];
  const [one] = now.mounts;
  if (one === undefined) throw new Error('there is one');
  t.same(watchRow(one, now, last), [
    ...['75.0 %', '2.0 KiB', '25', '3', '1', 'verified'],
    ...['/mnt/a', 'test.example.org, revision 7'],
  ]);
  t.same(watchRow({ mount: after, queue: undefined }, now, undefined).slice(0, 5), [
    ...['54.2 %', '-', '-', '-', '1'],
  ]);
  const again = sample(1000, { ...before, pid: 2 });
  t.equal(watchRow(one, now, again)[1], '-', 'another process counts from nothing');
  const dead = { ...after, status: null, state: 'stale' as const };
  t.same(watchRow({ mount: dead, queue: undefined }, now, last)[5], 'stale');
  t.equal(watchRow(one, now, last).length, watchColumns.length);
  t.same(statusRow(dead), ['/mnt/a', 'http://127.0.0.1/test.example.org', 'stale']);
  t.equal(statusRow(after).length, statusColumns.length);
  t.match(statusRow(after), [/^\/mnt/, /^test/, 'verified', '54.2 %']);
  t.end();
});
