import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { parseHash } from '../format/hash.js';
import { genuine, needsGenuine } from '../testing/genuine.js';
import { manifestLine, rootWant, storedIn, testShelf } from '../testing/fakes/memory-shelf.js';
import { historySchema } from '../publish/catalogs/catalog-schema.js';
import { openHistory, rootHashOf, tagByDate, tagByName, type HistoryTags } from './history.js';

const fqrn = 'made.example.org';
const properties = `INSERT INTO properties VALUES ('schema','1.0'), ('fqrn','${fqrn}');`;
const hash = (digit: string) => digit.repeat(40);
const tags = `INSERT INTO branches VALUES ('',NULL,0), ('side','',3);
  INSERT INTO tags VALUES ('first','${hash('1')}',1,1000,0,'the first',4096,'');
  INSERT INTO tags VALUES ('again','${hash('3')}',3,900,0,NULL,NULL,'');
  INSERT INTO tags VALUES ('second','${hash('2')}-rmd160',2,2000,0,'',4096,'');
  INSERT INTO tags VALUES ('off','${hash('4')}',9,500,0,'',4096,'side');`;
const sound = historySchema + properties + tags;

function openSql(t: Test, sql: string): HistoryTags {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-history-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'history');
  const database = new Database(path);
  database.exec(sql);
  database.close();
  return openHistory(path, fqrn);
}

function codeOf(attempt: () => unknown): string {
  try {
    attempt();
    return 'opened';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

void t.test('tags are listed by time, then revision, newest first', (t) => {
  const history = openSql(t, sound);
  t.strictSame(
    history.tags.map((tag) => tag.name),
    ['second', 'first', 'again', 'off'],
  );
  t.strictSame(tagByName(history, 'again'), {
    name: 'again',
    hash: hash('3'),
    revision: 3,
    timestamp: 900,
    channel: 0,
    description: '',
    size: 0,
    branch: '',
  });
  t.equal(rootHashOf(tagByName(history, 'second')).algorithm, 'rmd160');
  t.end();
});

void t.test(
  'a date finds the highest revision at or before it, on the default branch only',
  (t) => {
    const history = openSql(t, sound);
    const at = (time: number) => tagByDate(history, time).name;
    t.equal(at(2000), 'again');
    t.equal(at(900), 'again');
    t.equal(at(5e9), 'again');
    t.throws(() => at(899), { code: 'DATE_TOO_EARLY', advice: /"again" of 1970-01-01T00:15:00Z/ });
    t.throws(() => tagByDate({ fqrn, tags: [] }, 1e300), { code: 'DATE_TOO_EARLY' });
    t.end();
  },
);

void t.test('what is too long is neither a hash nor the default branch', (t) => {
  const long = 'a'.repeat(5000);
  const more = `INSERT INTO tags VALUES ('long hash','${long}',20,2500,0,'',0,'');
    INSERT INTO branches VALUES ('${long}','',4);
    INSERT INTO tags VALUES ('long branch','${hash('7')}',30,100,0,'${long}',0,'${long}');`;
  const history = openSql(t, sound + more);
  t.equal(tagByDate(history, 2000).name, 'again', 'a branch that is too long is another one');
  t.throws(() => rootHashOf(tagByName(history, 'long hash')), { code: 'TAG_HASH_MALFORMED' });
  t.equal(tagByName(history, 'long branch').description, '');
  t.end();
});

void t.test('an unknown name is answered with those that are like it', (t) => {
  const history = openSql(t, sound);
  t.throws(() => tagByName(history, 'secnd'), {
    code: 'TAG_UNKNOWN',
    advice: /names like it: "second"/,
  });
  t.throws(() => tagByName({ fqrn, tags: [] }, 'x'.repeat(100_000)), {
    code: 'TAG_UNKNOWN',
    advice: /no tags/,
  });
  t.end();
});

void t.test('text out of the database can not write to a terminal', (t) => {
  const history = openSql(
    t,
    `${sound} UPDATE tags SET name='first' || char(27, 155) || '[2J' WHERE name='first'`,
  );
  t.throws(() => tagByName(history, 'first'), {
    code: 'TAG_UNKNOWN',
    advice: /"first\\x1b\\x9b\[2J"/,
  });
  t.end();
});

void t.test('older revisions of the schema lack columns and tables', (t) => {
  const old = (columns: string) =>
    `CREATE TABLE properties (key TEXT PRIMARY KEY, value TEXT); CREATE TABLE tags (${columns}); ${properties}`;
  const base =
    'name TEXT PRIMARY KEY, hash TEXT, revision INTEGER, timestamp INTEGER, channel INTEGER, description TEXT';
  const row = `'a','${hash('1')}',1,5,0,'d'`;
  for (const [columns, values] of [
    [base, row],
    [`${base}, size INTEGER`, `${row},77`],
  ] as const)
    t.match(openSql(t, `${old(columns)} INSERT INTO tags VALUES (${values})`).tags, [
      { name: 'a', branch: '', description: 'd' },
    ]);
  t.end();
});

void t.test('databases that are no tag database of this repository are refused', (t) => {
  const refused: [string, string, string][] = [
    ['HISTORY_NAME_MISMATCH', 'another name', sound.replace(`'${fqrn}'`, `'other.example.org'`)],
    ['HISTORY_MALFORMED', 'no name', sound.replace(`('fqrn'`, `('name'`)],
    ['HISTORY_MALFORMED', 'schema', sound.replace(`'1.0'`, `'2.0'`)],
    ['HISTORY_MALFORMED', 'no schema', sound.replace(`('schema'`, `('x'`)],
    [
      'HISTORY_MALFORMED',
      'no tags',
      `CREATE TABLE properties (key TEXT PRIMARY KEY, value TEXT); ${properties}`,
    ],
    ['HISTORY_MALFORMED', 'no column', `${sound} ALTER TABLE tags DROP COLUMN description`],
    ['HISTORY_MALFORMED', 'view', `${sound} CREATE VIEW v AS SELECT 1`],
    ['HISTORY_MALFORMED', 'empty name', `${sound} UPDATE tags SET name='' WHERE name='first'`],
    ['HISTORY_MALFORMED', 'no hash', `${sound} UPDATE tags SET hash=NULL WHERE name='first'`],
    [
      'HISTORY_MALFORMED',
      'revision',
      `${sound} UPDATE tags SET revision='many' WHERE name='first'`,
    ],
    ['HISTORY_MALFORMED', 'time', `${sound} UPDATE tags SET timestamp=-1 WHERE name='first'`],
    [
      'HISTORY_MALFORMED',
      'huge name',
      `${sound} UPDATE tags SET name=hex(zeroblob(5000)) WHERE name='first'`,
    ],
  ];
  for (const [code, what, sql] of refused)
    t.equal(
      codeOf(() => openSql(t, sql)),
      code,
      what,
    );
  t.end();
});

void t.test('a malformed hash is told when the tag is asked for', (t) => {
  const history = openSql(t, `${sound} UPDATE tags SET hash='xyz' WHERE name='first'`);
  t.throws(() => rootHashOf(tagByName(history, 'first')), {
    code: 'TAG_HASH_MALFORMED',
    message: /"xyz"/,
  });
  t.equal(rootHashOf(tagByName(history, 'again')).text, hash('3'));
  t.end();
});

void t.test('genuine tags are read as the server tool shows them', needsGenuine, (t) => {
  for (const [folder, name, count] of [
    ['features-shake128', 'features-shake128.example.org', 7],
    ['legacy/aufs-2.1', 'legacy_aufs.cern.ch', 4],
  ] as const) {
    const read = storedIn([genuine(folder, name)]);
    const shelf = testShelf(read);
    t.teardown(() => shelf.close());
    const parsed = parseHash(manifestLine(read('.cvmfspublished'), 'H') ?? '');
    if (parsed === undefined) throw new Error('no history');
    const want = { ...rootWant(parsed), object: { hash: parsed, kind: 'history' as const } };
    shelf.provide(want);
    const history = openHistory(shelf.path(want) ?? '', name);
    t.equal(history.tags.length, count, folder);
    t.equal(
      rootHashOf(tagByName(history, 'trunk')).text,
      manifestLine(read('.cvmfspublished'), 'C'),
    );
  }
  t.end();
});
