import t from 'tap';
import fc from 'fast-check';
import { fromText } from '../../format/bytes.js';
import {
  carriesTime,
  foldInode,
  nativeErrno,
  nativeOptions,
  nativeStat,
  nativeStatfs,
  nativeText,
} from './convert.js';

const attributes = {
  ino: 5n,
  mode: 0o100644,
  nlink: 2,
  uid: 3,
  gid: 4,
  rdev: 2049,
  size: 5_000_000_000,
  mtime: 2_500_000_000,
  mtimeNs: 123_456_789,
};

void t.test('attributes cross with times in whole milliseconds', (t) => {
  t.same(nativeStat(attributes), {
    mode: 0o100644,
    uid: 3,
    gid: 4,
    size: 5_000_000_000,
    nlink: 2,
    ino: 5,
    rdev: 2049,
    blksize: 4096,
    blocks: 9_765_626,
    atime: 2_500_000_000_123,
    mtime: 2_500_000_000_123,
    ctime: 2_500_000_000_123,
  });
  t.notOk(carriesTime(attributes));
  t.ok(carriesTime({ ...attributes, mtimeNs: 123_000_000 }));
  t.end();
});

void t.test('a time before 1970 is shown as 0', (t) => {
  const early = { ...attributes, mtime: -1, mtimeNs: 5 };
  t.equal(nativeStat(early).mtime, 0);
  t.notOk(carriesTime(early));
  t.end();
});

void t.test('inode numbers are folded to 32 bits that libfuse has no other use for', (t) => {
  t.equal(foldInode(0x1_0000_0002n), 3);
  t.equal(foldInode(0x7fff_ffff_0000_0000n), 0x7fffffff);
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }), (ino) => {
      const folded = foldInode(ino);
      return Number.isInteger(folded) && folded > 0 && folded < 0xffffffff;
    }),
  );
  for (const reserved of [0n, 0x5555_5555_5555_5555n, 0xffff_ffffn]) {
    t.equal(foldInode(reserved), 2);
  }
  t.end();
});

void t.test('every errno that the kernel would refuse becomes EIO', (t) => {
  t.equal(nativeErrno(2), -2);
  t.equal(nativeErrno(511), -511);
  for (const bad of [0, -2, 512, 9999, 1.5, NaN, Infinity]) t.equal(nativeErrno(bad), -5);
  t.end();
});

void t.test('only UTF-8 crosses as text', (t) => {
  t.equal(nativeText('plain'), 'plain');
  t.equal(nativeText(fromText('é€😀')), 'é€😀');
  t.equal(nativeText('b\xffd'), undefined);
  t.equal(nativeText('\xc3'), undefined);
  t.equal(nativeText('a\0b'), undefined);
  t.equal(nativeText('\xed\xa0\x80'), undefined, 'a lone surrogate');
  t.equal(nativeText(fromText('\ufffd')), '\ufffd', 'the replacement character itself is a name');
  t.end();
});

void t.test('statfs fits into 32 bits', (t) => {
  const huge = { blockSize: 512, blocks: 2 ** 34, blocksFree: 2 ** 33, files: 2 ** 40 };
  const shown = nativeStatfs({ ...huge, filesFree: 1, nameMax: 255 });
  t.match(shown, { bsize: 4096, frsize: 4096, blocks: 2 ** 31, bfree: 2 ** 30, bavail: 2 ** 30 });
  t.match(shown, { files: 0xffffffff, ffree: 1, namemax: 255 });
  t.end();
});

void t.test('options: read-only, safe unless told, cached for ever only for pins', (t) => {
  const pin = { source: 'pinfs', lifetime: 'pinned', suid: false, dev: false } as const;
  const options = nativeOptions(pin, { allowOther: false, root: true });
  t.match(options, { timeout: false, subtype: 'pinfs', defaultPermissions: true });
  t.match(options, { allowOther: false, kernelCache: true });
  const parts = options.fsname.split(',');
  t.same(parts.slice(0, 5), ['pinfs', 'ro', 'nosuid', 'nodev', 'use_ino']);
  for (const name of ['entry_timeout', 'attr_timeout', 'negative_timeout']) {
    t.ok(parts.includes(`${name}=1000000000`), name);
  }
  t.ok(parts.includes('nonempty'));

  const head = { source: 'http://127.0.0.1/a,b', lifetime: 0, suid: true, dev: true } as const;
  const other = nativeOptions(head, { allowOther: true, root: false });
  t.match(other, { allowOther: true, kernelCache: false });
  const more = other.fsname.split(',');
  t.equal(more.slice(0, 2).join(), 'http://127.0.0.1/a\\,b', 'commas are quoted');
  t.ok(more.includes('suid') && more.includes('dev') && more.includes('entry_timeout=0'));
  t.notOk(more.includes('nonempty'), 'fusermount3 does not know it');
  const long = { ...head, source: `http://127.0.0.1/${'x,'.repeat(300)}`, noExec: true };
  const short = nativeOptions(long, { allowOther: true, root: true });
  t.match(short.fsname, /^pinfs,ro,suid,dev,noexec,/, 'a long source is not shown');
  t.ok(other.fsname.length < 900, 'libfuse takes 1023 bytes of options');
  t.end();
});
