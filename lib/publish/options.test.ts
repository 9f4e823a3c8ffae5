import { createHash, createPrivateKey } from 'node:crypto';
import { existsSync, linkSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PinfsError } from '../format/errors.js';
import { openPublishing, shownTree } from '../testing/publishing.js';
import type { InputEntry } from './input/entry.js';
import { openStoredDatabase, rows, type Row } from './read-back.js';
import { testCertificate } from './keys.js';
import { publish, type PublishOptions } from './publish.js';
import { publishRevision, type RevisionReport } from './revision/publish.js';
import { file } from './spec.js';
import { makeRepository } from './write-repository.js';

const fqrn = 'options.example.org';
const size = 50_000;
const small = { min: 1024, average: 2048, max: 4096 };

/** One publication with some options, and what its catalog says. */
async function published(t: Test, options: Partial<PublishOptions>) {
  const work = t.testdir({
    repository: {},
    tree: {
      a: 'first',
      large: Buffer.alloc(size, 'some text that is cut').toString(),
      d: { x: 'x' },
    },
  });
  const tree = join(work, 'tree');
  linkSync(join(tree, 'a'), join(tree, 'd/b'));
  linkSync(join(tree, 'a'), join(tree, 'c'));
  const revisions = [{ tree: {} }];
  const storage = makeRepository({ fqrn, algorithm: 'sha1', revisions }).writeTo(
    join(work, 'repository'),
  );
  const key = createPrivateKey(testCertificate.privateKey);
  const report = await publish({ fqrn, storage, key, from: [tree], threads: 1, ...options });
  const files = (path: string): Buffer => readFileSync(join(storage, path));
  const db = openStoredDatabase(files, 'catalog', report.rootHash.text);
  const entries = new Map(
    rows(
      db,
      `SELECT CAST(name AS TEXT) AS name, flags, mtimens, length(hash) AS hashBytes, hex(hash) AS hash,
         hardlinks & 0xffffffff AS links, hardlinks >> 32 AS linkGroup FROM catalog`,
    ).map((row) => [String(row['name']), row]),
  );
  const chunks = rows(db, 'SELECT size FROM chunks ORDER BY offset').map((row) =>
    Number(row['size']),
  );
  db.close();
  const stored = (row: Row | undefined): boolean => {
    const hash = String(row?.['hash']).toLowerCase();
    return existsSync(join(storage, 'data', hash.slice(0, 2), hash.slice(2)));
  };
  return { report, entries, chunks, stored };
}

const [algorithmBits, chunkedBit, externalBit] = [0x700, 64, 128];

type Outcome = Awaited<ReturnType<typeof published>>;
const flagsOf = ({ entries }: Outcome, name: string): number =>
  Number(entries.get(name)?.['flags']);
const numberOf = ({ entries }: Outcome, name: string, column: string): number =>
  Number(entries.get(name)?.[column]);
type OptionCase = readonly [
  what: string,
  options: Partial<PublishOptions>,
  look: (t: Test, outcome: Outcome) => void,
];
const cases: readonly OptionCase[] = [
  [
    'chunk sizes',
    { chunkSizes: small },
    (t, outcome) => {
      t.ok(flagsOf(outcome, 'large') & chunkedBit);
      t.notOk(flagsOf(outcome, 'a') & chunkedBit);
      t.equal(outcome.entries.get('large')?.['hashBytes'], null, 'only chunks are stored');
      t.equal(
        outcome.chunks.reduce((sum, one) => sum + one, 0),
        size,
      );
      t.ok(outcome.chunks.slice(0, -1).every((one) => one >= small.min && one <= small.max));
    },
  ],
  [
    'no chunks',
    { chunkSizes: 'off' },
    (t, outcome) => {
      t.notOk(flagsOf(outcome, 'large') & chunkedBit);
      t.same(outcome.chunks, []);
    },
  ],
  [
    'a hash of the whole beside chunks',
    { chunkSizes: small, wholeFileHash: true },
    (t, outcome) => {
      t.ok(outcome.chunks.length > 1);
      t.equal(numberOf(outcome, 'large', 'hashBytes'), 20);
      t.ok(outcome.stored(outcome.entries.get('large')), 'and it is stored');
    },
  ],
  [
    'external content',
    { external: true, chunkSizes: small },
    (t, outcome) => {
      t.ok(flagsOf(outcome, 'a') & externalBit);
      t.equal(numberOf(outcome, 'a', 'hashBytes'), 20, 'it is named');
      t.notOk(outcome.stored(outcome.entries.get('a')), 'and not stored');
      t.ok(outcome.report.counts.newObjects <= 3, 'catalog, history and the marker');
    },
  ],
  [
    'no compression',
    { compression: 'none' },
    (t, outcome) => {
      t.equal((flagsOf(outcome, 'a') >> 11) & 7, 1);
      const name = createHash('sha1').update('first').digest('hex');
      t.equal(String(outcome.entries.get('a')?.['hash']).toLowerCase(), name);
    },
  ],
  ...(['rmd160', 'shake128'] as const).map(
    (algorithm, index) =>
      [
        `objects named by ${algorithm}`,
        { algorithm },
        (t: Test, outcome: Outcome) => {
          t.equal((flagsOf(outcome, 'a') & algorithmBits) >> 8, index + 1);
          t.match(outcome.report.rootHash.text, new RegExp(`-${algorithm}$`));
        },
      ] as const,
  ),
  ['no nanoseconds', {}, (t, outcome) => void t.equal(outcome.entries.get('a')?.['mtimens'], null)],
  [
    'nanoseconds',
    { mtimeNs: true },
    (t, outcome) => void t.not(outcome.entries.get('a')?.['mtimens'], null),
  ],
  [
    'hard links within a directory',
    {},
    (t, outcome) => {
      t.equal(numberOf(outcome, 'a', 'links'), 2);
      t.equal(numberOf(outcome, 'b', 'links'), 1, 'in another it is another file');
    },
  ],
  [
    'hard links between directories',
    { crossDirectoryLinks: true },
    (t, outcome) => {
      for (const name of ['a', 'b', 'c']) t.equal(numberOf(outcome, name, 'links'), 3);
      t.equal(numberOf(outcome, 'b', 'linkGroup'), numberOf(outcome, 'a', 'linkGroup'));
    },
  ],
];

t.test('each option says of the content what it promises', async (t) => {
  for (const [what, options, look] of cases)
    await t.test(what, async (t) => {
      look(t, await published(t, options));
    });
});

void t.test('what can not be read ends it, or is left as it was and listed', async (t) => {
  const scene = await openPublishing(t);
  await scene.publish({ tree: { a: file('old'), b: file('gone') } });
  const problem = new PinfsError('INPUT_UNREADABLE', '/tree/a: EACCES');
  const root = { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNs: 0 } as const;
  async function* inputs(): AsyncGenerator<InputEntry> {
    yield { ...root, path: '', size: 4096, rdev: 0 };
    await Promise.resolve();
    yield { ...root, path: '/a', type: 'file', size: 0, rdev: 0, problem };
    yield { ...root, path: '/new', type: 'file', size: 0, rdev: 0, problem };
  }
  const again = (keepGoing: boolean): Promise<RevisionReport> =>
    publishRevision({
      ...scene.publication,
      ...{ inputs: [inputs()], at: '', deletes: [], keepGoing },
      ...{ mtimeNs: false, crossDirectoryLinks: false },
    });
  await t.rejects(again(false), { code: 'INPUT_UNREADABLE' });
  const { leftOut } = await again(true);
  t.same(
    leftOut.map(({ path, error }) => [path, error.code]),
    [
      ['/a', 'INPUT_UNREADABLE'],
      ['/new', 'INPUT_UNREADABLE'],
    ],
  );
  const shown = await shownTree(await scene.open());
  t.same(Object.keys(shown), ['/', '/a']);
  t.match(shown['/a'], / old /);
});
