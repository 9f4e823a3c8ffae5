import { constants, publicDecrypt, verify, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fromText } from '../format/bytes.js';
import { hashBytes, objectPath } from '../format/hash.js';
import { otherCertificate, testCertificate, testMasterKey } from './keys.js';
import { openStoredDatabase, rows, type Files } from './read-back.js';
import {
  bind,
  directory,
  file,
  makeRepository,
  makeSmallRepository,
  nested,
  special,
  symlink,
} from './write-repository.js';
import { makeTree, seededRandom } from '../testing/trees.js';

const everything = {
  tree: {
    'plain.txt': file('plain', { compression: 'none', mode: 0o4711, uid: 7, gid: 8 }),
    'chunked.dat': file('0123456789', { chunks: [4, 3], bulk: true }),
    'external.dat': file('elsewhere', { external: true, chunks: [5] }),
    one: file('linked', { linkGroup: 1 }),
    two: file('linked', { linkGroup: 1 }),
    link: symlink('$(HOME)/x'),
    pipe: special('fifo'),
    disk: special('block', { rdev: 2049 }),
    attributes: file('', { xattrs: { 'user.b': 'bb', 'user.a': 'a' }, mtimeNs: 5 }),
    [fromText('ü')]: directory({ 'a\xff': file('bytes') }),
    hidden: file('', { hidden: true }),
    direct: file('', { directIo: true }),
    nest: nested({ inner: nested({ file: file('deep') }) }),
  },
};

void t.test('a made repository holds what was asked for', (t) => {
  const made = makeRepository({
    fqrn: 'x.example.org',
    ttl: 60,
    revisions: [
      { ...everything, tags: { first: 'the first' } },
      { tree: { old: bind(1) }, properties: { volatile: '1' }, time: 2_000_000_000 },
    ],
  });
  const files: Files = (path) => made.files.get(path);
  const [first] = made.revisions;
  if (first === undefined) throw new Error('no revision');
  const db = openStoredDatabase(files, 'catalog', first.rootHash.text);
  const flags = new Map(
    rows(db, 'SELECT hex(name) AS name, flags, hardlinks FROM catalog').map((row) => [
      Buffer.from(String(row['name']), 'hex').toString('latin1'),
      [Number(row['flags']), row['hardlinks']],
    ]),
  );
  t.same(flags.get(''), [1, 4n]);
  t.same(flags.get('plain.txt'), [2052, 1n]);
  t.same(flags.get('chunked.dat'), [68, 1n]);
  t.same(flags.get('external.dat'), [2244, 1n]);
  t.same(flags.get('one'), [4, 0x1_0000_0002n]);
  t.same(flags.get('link'), [12, 1n]);
  t.same(flags.get('pipe'), [20, 1n]);
  t.same(flags.get('hidden'), [0x8004, 1n]);
  t.same(flags.get('direct'), [0x10004, 1n]);
  t.same(flags.get('nest'), [3, 3n]);
  t.ok(flags.has('\xc3\xbc') && flags.has('a\xff'), 'names are bytes');
  const blob = db.prepare("SELECT hex(xattr) FROM catalog WHERE name = 'attributes'").pluck().get();
  t.equal(blob, '0102' + '0601757365722E6161' + '0602757365722E626262', 'sorted');
  const sums = rows(db, "SELECT * FROM statistics WHERE counter LIKE '%\\_dir' ESCAPE '\\'");
  t.same(sums, [
    { counter: 'self_dir', value: 3n },
    { counter: 'subtree_dir', value: 3n },
  ]);
  const sizes = rows(db, 'SELECT size FROM chunks ORDER BY md5path_1, offset').map(
    (row) => row['size'],
  );
  t.same(sizes.sort(), [3n, 3n, 4n, 4n, 5n].sort());
  db.close();
  t.same([...first.catalogs.keys()].sort(), ['', '/nest', '/nest/inner']);
  t.equal(made.external.get('/external.dat')?.toString(), 'elsewhere');
  const elsewhere = { hash: hashBytes('sha1', Buffer.from('elsewhere')), kind: 'data' } as const;
  t.notOk(made.files.has(objectPath(elsewhere)), 'which lies elsewhere');

  const head = openStoredDatabase(files, 'catalog', made.head.rootHash.text);
  t.match(rows(head, "SELECT flags, hardlinks FROM catalog WHERE name = 'old'"), [
    { flags: 16385n },
  ]);
  t.same(rows(head, 'SELECT path, sha1 FROM bind_mountpoints'), [
    { path: '/old', sha1: first.rootHash.text },
  ]);
  const properties = rows(head, 'SELECT value FROM properties ORDER BY key').map(
    (row) => row['value'],
  );
  t.same(properties, ['60', '2000000000', first.rootHash.text, '2', '2.5', '7', '1']);
  head.close();
  t.same(
    made.head.tags.map(({ name, revision }) => [name, revision]),
    [
      ['first', 1],
      ['trunk', 2],
      ['trunk-previous', 1],
    ],
  );
  t.end();
});

void t.test('a made repository is signed with the test keys', (t) => {
  const { files, masterKey } = makeSmallRepository({});
  const split = (path: string): { text: Buffer; hash: Buffer; signature: Buffer } => {
    const bytes = files.get(path) ?? Buffer.alloc(0);
    const cut = bytes.indexOf('\n--\n');
    const text = bytes.subarray(0, cut + 1);
    return { text, hash: bytes.subarray(cut + 4, cut + 44), signature: bytes.subarray(cut + 45) };
  };
  const manifest = split('.cvmfspublished');
  const { publicKey } = new X509Certificate(testCertificate.certificate);
  t.equal(hashBytes('sha1', manifest.text).text, manifest.hash.toString());
  t.ok(verify('sha1', manifest.hash, publicKey, manifest.signature));
  const whitelist = split('.cvmfswhitelist');
  const padding = constants.RSA_PKCS1_PADDING;
  t.equal(masterKey, testMasterKey.publicKey);
  t.ok(publicDecrypt({ key: masterKey, padding }, whitelist.signature).equals(whitelist.hash));
  t.match(whitelist.text.toString(), /^20200101000000\nE20991231000000\nNmade\.example\.org\n/);
  const other = makeSmallRepository({}, { certificate: otherCertificate });
  t.notSame(other.files.get('.cvmfspublished'), files.get('.cvmfspublished'));
  t.end();
});

void t.test('damage is done before the hashes above it are made', (t) => {
  const made = makeRepository({
    revisions: [
      {
        tree: {
          bad: nested({ x: file('x') }, { sql: "UPDATE catalog SET size = -1 WHERE name = 'x'" }),
          cut: nested({}, { patch: (bytes) => bytes.subarray(0, 100) }),
          text: nested({}, { object: () => Buffer.from('no zlib') }),
        },
        sql: 'CREATE VIEW hostile AS SELECT 1',
        historySql: "UPDATE tags SET hash = 'xyz'",
      },
    ],
  });
  const files: Files = (path) => made.files.get(path);
  const root = openStoredDatabase(files, 'catalog', made.head.rootHash.text);
  t.same(rows(root, "SELECT name FROM sqlite_master WHERE type = 'view'"), [{ name: 'hostile' }]);
  root.close();
  const hashOf = (path: string): string => made.head.catalogs.get(path)?.hash.text ?? '';
  const bad = openStoredDatabase(files, 'catalog', hashOf('/bad'));
  t.same(rows(bad, "SELECT size FROM catalog WHERE name = 'x'"), [{ size: -1n }]);
  bad.close();
  t.equal(made.head.catalogs.get('/cut')?.size, 100);
  t.throws(() => openStoredDatabase(files, 'catalog', hashOf('/text')), { code: 'Z_DATA_ERROR' });
  t.throws(() => makeSmallRepository({ x: bind(1) }), /no earlier revision/);
  t.end();
});

void t.test('a made repository can be written', (t) => {
  const made = makeSmallRepository({ a: file('a') });
  const path = made.writeTo(t.testdir());
  t.equal(path, join(t.testdirName, 'made.example.org'));
  for (const [name, bytes] of made.files) t.ok(readFileSync(join(path, name)).equals(bytes), name);
  t.end();
});

void t.test('large trees come from their seed', (t) => {
  const size = { files: 500, directories: 60, nestedCatalogs: 7, seed: 3 };
  const hash = (more = {}): string =>
    makeSmallRepository(makeTree({ ...size, ...more })).head.rootHash.text;
  t.equal(hash(), hash());
  t.not(hash(), hash({ seed: 4 }));
  const made = makeSmallRepository(makeTree({ ...size, contents: 10 }));
  t.equal(made.head.catalogs.size, 8);
  const { counters } = made.head.catalogs.get('') ?? {};
  t.match(counters, { regular: 507, symlink: 10, nested: 7, dir: 68 });
  const random = seededRandom(1);
  const drawn = Array.from({ length: 1000 }, random);
  t.ok(drawn.every((number) => number >= 0 && number < 1));
  t.ok(Math.abs(drawn.reduce((sum, number) => sum + number, 0) / 1000 - 0.5) < 0.05);
  t.end();
});
