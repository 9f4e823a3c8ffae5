import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openBench } from '../../testing/bench.js';
import {
  directory,
  file,
  makeRepository,
  nested,
  symlink,
  type TreeSpec,
} from '../../publish/write-repository.js';
import { copyOut } from './copy.js';
import type { CopyOptions, CopyReport } from './copying.js';
import { walk } from './path.js';
import { totalsBelow } from './totals.js';

// A copy that is made again: after it was interrupted, or where something else is there.

const tree = (content: string): TreeSpec => ({
  dir: directory(
    {
      file: file(content, { mtime: 1000, mtimeNs: 5000 }),
      link: symlink('file'),
      one: file('linked', { linkGroup: 1 }),
      two: file('linked', { linkGroup: 1 }),
    },
    { mode: 0o500 },
  ),
});

interface Copier {
  readonly to: string;
  readonly copy: (path: string, options?: CopyOptions) => Promise<CopyReport>;
}

async function copier(t: Test, made: TreeSpec = tree('first'), pin = 'v1'): Promise<Copier> {
  const bench = await openBench(
    t,
    makeRepository({ revisions: [{ tree: made, tags: { v1: '' } }] }),
  );
  const repository = await bench.open(pin);
  const work = fs.mkdtempSync(join(tmpdir(), 'pinfs-again-'));
  t.teardown(() => fs.rmSync(work, { recursive: true, force: true }));
  const to = join(work, 'copy');
  return {
    to,
    copy: async (path, options) =>
      await copyOut(repository, await walk(repository, path, true), to, options),
  };
}

void t.test('what was copied is not copied again, and no second level is made', async (t) => {
  const { to, copy } = await copier(t);
  const first = await copy('/');
  t.match(first, { files: 4, before: 0, bytes: 11, skipped: [] });
  const inode = fs.statSync(join(to, 'dir', 'file')).ino;
  fs.rmSync(join(to, 'dir', 'two'));
  const again = await copy('/');
  t.match(again, { files: 4, before: 3, bytes: 0, skipped: [] });
  t.same(fs.readdirSync(to), ['dir'], 'with no mark left');
  t.same(fs.readdirSync(join(to, 'dir')), ['file', 'link', 'one', 'two']);
  t.equal(fs.statSync(join(to, 'dir', 'file')).ino, inode);
  t.equal(fs.statSync(join(to, 'dir', 'one')).ino, fs.statSync(join(to, 'dir', 'two')).ino);
  t.equal(fs.statSync(join(to, 'dir')).mode & 0o777, 0o500, 'its mode is that of before');
});

void t.test('a copy that was cut off goes on at its place, whatever it left', async (t) => {
  const { to, copy } = await copier(t);
  const stop = new Error('killed');
  const changed = ({ files }: CopyReport): void => {
    if (files === 1) throw stop;
  };
  await t.rejects(copy('/dir', { changed }), stop);
  t.ok(fs.existsSync(to));
  // Of a process that is no more.
  fs.writeFileSync(join(to, '.pinfs-copy-4194304999-0'), 'half');
  t.match(await copy('/dir'), { files: 4, skipped: [] });
  t.same(fs.readdirSync(to), ['file', 'link', 'one', 'two']);
  t.match(await copy('/dir'), { before: 0 }, 'once it is whole, DEST is a directory to copy into');
  t.ok(fs.existsSync(join(to, 'dir', 'file')));
  t.match(await copy('/dir', { contents: true }), { before: 4 }, 'as with a slash behind it');
});

void t.test('what differs is left as it is, unless it is to be replaced', async (t) => {
  const { to, copy } = await copier(t);
  fs.mkdirSync(join(to, 'dir'), { recursive: true });
  fs.writeFileSync(join(to, 'dir', 'file'), 'FIRST');
  fs.symlinkSync('/etc/passwd', join(to, 'dir', 'link'));
  const kept = await copy('/');
  t.match(kept, { files: 2, exit: 1 });
  t.match(kept.skipped, [/^\/dir\/file: it exists, and differs/, /^\/dir\/link: it exists/]);
  t.equal(fs.readFileSync(join(to, 'dir', 'file'), 'latin1'), 'FIRST');
  t.match(await copy('/', { update: true }), { files: 4, before: 2, skipped: [], exit: 0 });
  t.equal(fs.readFileSync(join(to, 'dir', 'file'), 'latin1'), 'first');
  t.equal(fs.readlinkSync(join(to, 'dir', 'link')), 'file');
});

void t.test('a file has its name only when it is whole', async (t) => {
  const { to, copy } = await copier(t, { file: file(Buffer.alloc(2_500_000, 'x')) });
  const seen = new Set<string>();
  let abandon = (): void => undefined;
  const changed = ({ bytes, files }: CopyReport): void => {
    if (bytes === 0 || files > 0) return;
    for (const name of fs.readdirSync(to)) seen.add(name.replace(/\d+/g, 'N'));
    if (bytes > 2_000_000) abandon();
  };
  const report = await copy('/', { changed, began: (clean) => (abandon = clean) });
  t.same([...seen].sort(), ['.pinfs-copy-N-N', '.pinfs-unfinished-copy']);
  t.match(report, { files: 0, skipped: [/ENOENT/] }, 'it was taken away before it got its name');
  t.same(fs.readdirSync(to), []);
});

void t.test('blocks of zeros become holes', async (t) => {
  const content = Buffer.alloc(5_000_000);
  content.write('begin', 1);
  content.write('middle', 3_000_001);
  const { to, copy } = await copier(t, { sparse: file(content), empty: file(Buffer.alloc(9000)) });
  await copy('/');
  t.ok(fs.readFileSync(join(to, 'sparse')).equals(content));
  t.ok(fs.statSync(join(to, 'sparse')).blocks * 512 < 1_000_000);
  t.equal(fs.statSync(join(to, 'empty')).size, 9000);
});

void t.test('the owner is kept as asked', { skip: process.getuid?.() !== 0 }, async (t) => {
  const { to, copy } = await copier(t, {
    file: file('x', { uid: 4711, gid: 4712 }),
    link: symlink('file', { uid: 4713, gid: 4714 }),
  });
  await copy('/', { owners: true });
  t.match(fs.lstatSync(join(to, 'file')), { uid: 4711, gid: 4712 });
  t.match(fs.lstatSync(join(to, 'link')), { uid: 4713, gid: 4714 });
});

void t.test('how much there is, as catalogs count it', async (t) => {
  const made = { a: nested({ f: file('12345') }), d: directory({ g: file('1'), l: symlink('g') }) };
  const bench = await openBench(t, makeRepository({ revisions: [{ tree: made }] }));
  const repository = await bench.open();
  const below = async (path: string) =>
    totalsBelow(repository, await walk(repository, path, false));
  t.same(
    await below('/'),
    { files: 4, bytes: 6 },
    'with the file that says where a catalog begins',
  );
  t.same(await below('/a'), { files: 2, bytes: 5 });
  t.equal(await below('/d'), undefined, 'nobody counted that');
});
