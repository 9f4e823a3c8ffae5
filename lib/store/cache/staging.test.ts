import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openStaging, type StagingPlace } from './staging.js';
import { piecesOf, sizeOfStored, type Stored } from './stored.js';

function place(t: Test, options: Partial<StagingPlace> = {}): StagingPlace {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-staging-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  let files = 0;
  return {
    directory,
    limit: 1e9,
    limitedByDisk: false,
    temporary: () => join(directory, `${++files}`),
    makeRoom: () => false,
    ...options,
  };
}

function bytesOf(stored: Stored): Buffer {
  return Buffer.concat(Array.from(piecesOf(stored), (piece) => Buffer.from(piece)));
}

const piece = Buffer.alloc(100_000, 'what comes ');
const nothing = Buffer.alloc(0);

void t.test('small answers stay in memory, large ones go to a file', (t) => {
  const here = place(t);
  const staging = openStaging((index) => (index === 0 ? here : undefined));
  staging.sink.write(piece);
  t.ok(Buffer.isBuffer(staging.take(nothing)), 'in memory');
  t.same(readdirSync(here.directory), []);
  for (let count = 1; count < 10; count++) staging.sink.write(piece);
  const stored = staging.take(nothing);
  t.notOk(Buffer.isBuffer(stored), 'in a file');
  t.equal(sizeOfStored(stored), 1_000_000);
  t.ok(bytesOf(stored).equals(Buffer.concat(Array.from({ length: 10 }, () => piece))));
  staging.sink.begin();
  staging.sink.write(Buffer.from('another'));
  t.same(staging.take(nothing), Buffer.from('another'), 'of a try before nothing is left');
  staging.close();
  t.same(readdirSync(here.directory), []);
  t.throws(() => staging.sink.write(piece), { code: 'INTERRUPTED' });
  t.end();
});

void t.test('what a source gave back itself counts as well', (t) => {
  const staging = openStaging(() => undefined);
  t.equal(staging.take(piece), piece, 'and needs no place');
  staging.close();
  t.end();
});

void t.test('a place that has no room is left with all that came', (t) => {
  const full = place(t, { limit: 450_000, limitedByDisk: true });
  const other = t.testdir({ other: {} });
  const next = place(t, { temporary: () => join(other, 'other', 'file') });
  const staging = openStaging((index) => [full, next][index]);
  for (let count = 0; count < 10; count++) staging.sink.write(piece);
  const stored = staging.take(nothing);
  t.ok(bytesOf(stored).equals(Buffer.concat(Array.from({ length: 10 }, () => piece))));
  t.match(stored, { path: join(other, 'other', 'file') });
  staging.close();
  t.notOk(existsSync(join(other, 'other', 'file')));
  t.end();
});

void t.test('where no place takes it, the first reason is said', (t) => {
  const fill = (...places: StagingPlace[]) => {
    const staging = openStaging((index) => places[index]);
    try {
      for (let count = 0; count < 10; count++) staging.sink.write(piece);
    } finally {
      staging.close();
    }
  };
  const gone = (): string => join(t.testdirName, 'no', 'such', 'directory');
  const full = place(t, { limit: 450_000, limitedByDisk: true });
  const unusable = place(t, { temporary: gone });
  t.throws(() => fill(full), { code: 'CACHE_FULL', message: /too full/ });
  t.throws(() => fill(unusable), { code: 'CACHE_UNUSABLE' });
  t.throws(() => fill(unusable, full), { code: 'CACHE_UNUSABLE' });
  const small = place(t, { limit: 450_000 });
  t.throws(
    () => fill(small, place(t)),
    { message: /limit of 450000/ },
    'a limit is not gone round',
  );
  t.throws(
    () => fill(unusable, small),
    { code: 'CACHE_UNUSABLE', message: /ENOENT|no such/ },
    'the limit of the second place is not what has to be mended',
  );
  t.end();
});
