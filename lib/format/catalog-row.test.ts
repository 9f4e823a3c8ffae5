import fc from 'fast-check';
import t from 'tap';
import { checkRow, hashOfDigits, isName, type RawRow } from './catalog-row.js';

const owner = { uid: 7, gid: 8 };

function row(more: Partial<RawRow> = {}): RawRow {
  return {
    rowid: 1,
    key: [0, 0, 0, 0],
    name: 'x',
    flags: 4,
    mode: 0o100644,
    size: 12,
    mtime: 1,
    mtimeNs: NaN,
    uid: 1,
    gid: 2,
    linkGroup: 0,
    linkCount: 1,
    hash: 'AB'.repeat(20),
    symlink: '',
    xattr: undefined,
    ...more,
  };
}

void t.test('a file is decoded with hash, algorithm, compression and flags', (t) => {
  const flags = 4 | 128 | 0x200 | 0x800 | 0x10000 | 0x8000;
  t.match(checkRow(row({ flags, mode: 0o104755, linkGroup: 3, linkCount: 2 }), false, owner), {
    type: 'file',
    mode: 0o104755,
    uid: 1,
    gid: 2,
    nlink: 2,
    linkGroup: 3,
    hidden: true,
    directIo: true,
    fault: undefined,
    content: {
      algorithm: 'shake128',
      compression: 'none',
      external: true,
      chunked: false,
      hash: { text: `${'ab'.repeat(20)}-shake128` },
    },
  });
  t.end();
});

void t.test(
  'catalogs of schema 1.x have no owners, links, chunks or attributes of content',
  (t) => {
    const checked = checkRow(
      row({ flags: 0xffff, uid: NaN, gid: NaN, linkCount: NaN }),
      true,
      owner,
    );
    t.match(checked, { uid: 7, gid: 8, nlink: 1, linkGroup: 0, hidden: false, fault: undefined });
    t.match(checked?.content, {
      algorithm: 'sha1',
      compression: 'zlib',
      chunked: false,
      external: false,
    });
    t.equal(checkRow(row({ flags: 3, mode: 0o040755 }), true, owner)?.nestedMountpoint, true);
    t.end();
  },
);

void t.test(
  'devices keep their number in the size, links their target, directories any size',
  (t) => {
    t.match(checkRow(row({ mode: 0o020666, size: 2049 }), false, owner), {
      rdev: 2049,
      size: 0,
      fault: undefined,
    });
    t.match(checkRow(row({ mode: 0o120777, symlink: 'a\0b', size: -5 }), false, owner), {
      rawTarget: 'a',
      fault: undefined,
    });
    t.match(checkRow(row({ mode: 0o040755, size: -5, linkGroup: 9 }), false, owner), {
      size: 4096,
      linkGroup: 0,
      fault: undefined,
    });
    t.match(checkRow(row({ mtime: 2 ** 62 }), false, owner), {
      mtime: Number.MAX_SAFE_INTEGER,
      fault: undefined,
    });
    t.end();
  },
);

void t.test('what is wrong with a row is told', (t) => {
  const wrong: [string, Partial<RawRow>, RegExp][] = [
    ['flags', { flags: NaN }, /flags/],
    ['size', { size: -1 }, /size/],
    ['size beyond 2^53', { size: 2 ** 62 }, /size/],
    ['device', { mode: 0o060600, size: NaN }, /size/],
    ['no hash', { hash: '' }, /no content hash/],
    ['short hash', { hash: 'AB' }, /malformed/],
    ['no hash at all', { hash: 'x' }, /malformed/],
    ['algorithm', { flags: 4 | 0x700 }, /algorithm/],
    ['compression', { flags: 4 | 0x2800 }, /compression/],
    ['owner', { uid: -1 }, /owner/],
    ['time', { mtime: NaN }, /time/],
    ['link', { mode: 0o120777, symlink: undefined }, /target/],
  ];
  for (const [what, more, fault] of wrong)
    t.match(checkRow(row(more), false, owner)?.fault, fault, what);
  for (const mode of [0o644, 0o130644, NaN, -1, 2 ** 40])
    t.equal(checkRow(row({ mode }), false, owner), undefined);
  t.equal(
    checkRow(row({ hash: '', flags: 68 }), false, owner)?.fault,
    undefined,
    'chunks need no hash of the whole',
  );
  t.end();
});

void t.test('any row is checked without an exception', (t) => {
  const number = fc.oneof(
    fc.double().map(Math.trunc),
    fc.integer(),
    fc.constantFrom(NaN, -1, 2 ** 31, 2 ** 53, 0o100644, 0o040755),
  );
  fc.assert(
    fc.property(
      fc.array(number, { minLength: 9, maxLength: 9 }),
      fc.string(),
      fc.boolean(),
      (numbers, text, legacy) => {
        const [
          flags = 0,
          mode = 0,
          size = 0,
          mtime = 0,
          mtimeNs = 0,
          uid = 0,
          gid = 0,
          linkGroup = 0,
          linkCount = 0,
        ] = numbers;
        const raw = row({
          flags,
          mode,
          size,
          mtime,
          mtimeNs,
          uid,
          gid,
          linkGroup,
          linkCount,
          hash: text,
          symlink: text,
        });
        const checked = checkRow(raw, legacy, owner);
        return (
          checked === undefined ||
          (checked.size >= 0 && checked.nlink >= 1 && Number.isSafeInteger(checked.mtime))
        );
      },
    ),
  );
  t.pass('held');
  t.end();
});

void t.test('names and hash digits are what they have to be', (t) => {
  for (const name of ['a', '\xff', '...', 'x'.repeat(255), ' ', '\n']) t.ok(isName(name), name);
  for (const name of ['', '.', '..', 'a/b', 'a\0', 'x'.repeat(256)]) t.notOk(isName(name), name);
  t.equal(hashOfDigits('rmd160', 'AB'.repeat(20))?.text, `${'ab'.repeat(20)}-rmd160`);
  t.equal(hashOfDigits('sha1', 'AB'.repeat(19)), undefined);
  t.equal(hashOfDigits('sha1', 'GB'.repeat(20)), undefined);
  t.end();
});
