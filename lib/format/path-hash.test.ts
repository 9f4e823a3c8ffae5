import t from 'tap';
import { inodeOfDigest, inodeOfWords, isHashOf, pathDigest, pathKey } from './path-hash.js';

void t.test('path hashes are those that are published', (t) => {
  const examples: [string, bigint, bigint][] = [
    ['', 338333539836370388n, 9098107892288553193n],
    ['/foo', 5745132282796244766n, -5819618580357280866n],
    ['/foo/bar', -2822516800166431715n, 9048809318629099454n],
    ['/.cvmfscatalog', -5809621311578234096n, -2583071775493035223n],
    ['/software/1.0', 8413186275036766631n, 8341305021335137739n],
  ];
  for (const [path, first, second] of examples)
    t.strictSame(pathKey(pathDigest(path)), [first, second], path || 'root');
  t.end();
});

void t.test('inode numbers have 63 bits and are never 0 or 1', (t) => {
  const digest = (first: bigint, second: bigint): Buffer => {
    const bytes = Buffer.alloc(16);
    bytes.writeBigUInt64LE(first, 0);
    bytes.writeBigUInt64LE(second, 8);
    return bytes;
  };
  t.equal(inodeOfDigest(digest(0xffff_ffff_ffff_ffffn, 0n)), 0x7fff_ffff_ffff_ffffn);
  t.equal(inodeOfDigest(digest(0x8000_0000_0000_0001n, 77n)), 77n);
  t.equal(inodeOfDigest(digest(0n, 0x8000_0000_0000_0000n)), 2n);
  t.end();
});

void t.test('words are compared with a path, whose names are bytes', (t) => {
  for (const path of ['', '/foo', '/caf\xe9', '/\xff\x00', `/${'long/'.repeat(300)}`]) {
    const digest = pathDigest(path);
    const words = [0, 4, 8, 12].map((at) => digest.readUInt32LE(at));
    const [a = 0, b = 0, c = 0, d = 0] = words;
    t.ok(isHashOf([a, b, c, d], path));
    for (const other of [
      [a ^ 1, b, c, d],
      [a, b ^ 1, c, d],
      [a, b, c ^ 1, d],
      [a, b, c, d ^ 1],
      [NaN, b, c, d],
    ] as const)
      t.notOk(isHashOf(other, path));
    t.notOk(isHashOf([a, b, c, d], `${path}x`));
    t.equal(inodeOfWords([a, b, c, d]), inodeOfDigest(digest));
  }
  t.end();
});
