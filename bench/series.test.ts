import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { curlConfig } from './curl.js';
import { fill } from './client.js';
import type { KeptFile } from './kept.js';
import { pssBytes } from './memory.js';
import { parseAnswers } from './nginx.js';
import { chosenFiles, readers } from './readers.js';
import { rows, rowsNamed } from './rows.js';
import { makeSeries } from './series.js';

t.test('a table has medians, and ratios within the row', (t) => {
  const series = makeSeries();
  for (const [row, factor] of [
    ['one', 1],
    ['two', 10],
  ] as const) {
    series.begin(row);
    for (const value of [90, 100, 500]) series.note('curl', '', value * factor);
    series.note('local', 'find', 50);
    for (const value of [200, 1000, 150]) series.note('pinfs', 'find', value);
    series.note('pinfs', 'PSS', 80, 'MiB');
  }
  t.match(series.table(), '| one | pinfs | find | 200 ms | 150–1000 | 2.00 | 4.00 |');
  t.match(series.table(), '| two | pinfs | find | 200 ms | 150–1000 | 0.20 | 4.00 |');
  t.match(series.table(), '| one | pinfs | PSS | 80 MiB | 80–80 |  |  |');
  t.notMatch(series.table(), 'not dropped');
  series.pagesKept();
  t.match(series.table(), 'not dropped');
  t.end();
});

t.test('rows are chosen by name', (t) => {
  t.equal(rowsNamed(undefined), rows);
  t.strictSame(
    rowsNamed(['warm', 'cold-tar']).map(({ name }) => name),
    ['cold-tar', 'warm'],
  );
  t.throws(() => rowsNamed(['cold']), /no row 'cold'/);
  t.end();
});

const files: KeptFile[] = Array.from({ length: 2000 }, (_, index) => ({
  path: `folder${index % 100}/file${index}`,
  size: index,
  objects: [],
}));

t.test('500 files of 40 directories in random order, the same each time', (t) => {
  const chosen = chosenFiles(files);
  t.equal(new Set(chosen).size, 500);
  t.equal(new Set(chosen.map(({ path }) => path.split('/')[0])).size, 40);
  t.strictSame(chosenFiles(files), chosen);
  t.end();
});

t.test('readers share the files', (t) => {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-readers-'));
  t.teardown(() => {
    rmSync(work, { recursive: true });
  });
  readers(files, 8, work);
  const read = Array.from({ length: 8 }, (_, index) =>
    readFileSync(join(work, `reader-${index}`), 'utf8')
      .split('\0')
      .slice(0, -1),
  );
  t.ok(read.every((names) => names.length === 250));
  t.strictSame(
    read.flat(),
    files.map(({ path }) => path),
  );
  t.end();
});

t.test('the command of a client is filled in, quoted', (t) => {
  const filling = { url: 'u', cache: "it's", mnt: 'm', key: 'k', hash: 'h', tag: 't', fqrn: 'f' };
  t.equal(fill('x {url} {cache}', filling), "x 'u' 'it'\\''s'");
  t.throws(() => fill('{other}', filling), /means nothing/);
  t.end();
});

t.test('what others print is read', (t) => {
  t.equal(pssBytes('Rss: 9 kB\nPss:                 12 kB\nPss_Anon: 3 kB\n'), 12_288);
  t.strictSame(parseAnswers('/a 5\n/b 0\n'), [
    { path: '/a', bytes: 5 },
    { path: '/b', bytes: 0 },
  ]);
  t.equal(curlConfig('u', ['a'], 't'), 'url = "u/a"\noutput = "t/0"\n');
  t.end();
});
