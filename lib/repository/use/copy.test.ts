import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openBench } from '../../testing/bench.js';
import {
  directory,
  file,
  makeSmallRepository,
  special,
  symlink,
} from '../../publish/write-repository.js';
import { copyOut } from './copy.js';
import type { CopyReport } from './copying.js';
import { walk } from './path.js';

const large = Buffer.alloc(3_000_000, 'a large file ');
const made = makeSmallRepository({
  file: file('text', { mode: 0o4755, mtime: 1_000_000_000 }),
  large: file(large, { chunks: [1_000_000] }),
  one: file('linked', { linkGroup: 1 }),
  two: file('linked', { linkGroup: 1 }),
  link: symlink('file'),
  out: symlink('/etc'),
  'caf\xe9': file('not UTF-8'),
  fifo: special('fifo'),
  'closed dir': directory({ inside: file('x') }, { mode: 0o500 }),
  'long link': symlink('x'.repeat(5000)),
  'no link': symlink(''),
  past: file('p', { mtime: -8e15 }),
  future: file('f', { mtime: 8e15 }),
  last: file('last'),
  exact: file('ns', { mtime: 1_600_000_000, mtimeNs: 123_456_789 }),
  'exact link': symlink('exact', { mtime: 1_600_000_000, mtimeNs: 999_999_999 }),
  'exact dir': directory({}, { mtime: 1_600_000_000, mtimeNs: 1_000 }),
  'before 1970': file('old', { mtime: -5, mtimeNs: 123_456_789 }),
  'to dir': symlink('closed dir'),
});

async function copied(t: Test, path = '/'): Promise<{ to: string; report: CopyReport }> {
  const bench = await openBench(t, made);
  const repository = await bench.open('v1');
  const work = mkdtempSync(join(tmpdir(), 'pinfs-copy-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const to = join(work, 'copy');
  const start = await walk(repository, path, true);
  return { to, report: await copyOut(repository, start, to) };
}

void t.test('a tree is copied with all that a local disk can hold', async (t) => {
  const { to, report } = await copied(t);
  const at = (name: string): string => join(to, name);
  t.equal(readFileSync(at('file'), 'latin1'), 'text');
  t.equal(lstatSync(at('file')).mode & 0o7777, 0o755, 'no set-uid');
  t.equal(lstatSync(at('file')).mtimeMs, 1e12);
  t.ok(readFileSync(at('large')).equals(large));
  t.equal(lstatSync(at('one')).ino, lstatSync(at('two')).ino);
  t.equal(readlinkSync(at('link')), 'file');
  t.equal(readlinkSync(at('out')), '/etc', 'a link is copied, not followed');
  t.equal(readFileSync(join(at('closed dir'), 'inside'), 'latin1'), 'x');
  t.equal(lstatSync(at('closed dir')).mode & 0o777, 0o500);
  t.ok(
    readdirSync(Buffer.from(to), 'buffer').some((name) => name.toString('latin1') === 'caf\xe9'),
  );
  t.equal(readFileSync(at('last'), 'latin1'), 'last', 'nothing ends it before the end');
  t.equal(readFileSync(at('past'), 'latin1') + readFileSync(at('future'), 'latin1'), 'pf');
  t.match(report.skipped.sort(), [/^\/fifo: /, /^\/long link: .*ENAMETOOLONG/, /^\/no link: /]);
  t.equal(report.bytes, large.length + 4 + 6 + 9 + 1 + 1 + 1 + 4 + 2 + 3);
});

void t.test('times are kept to the microsecond, also before 1970', async (t) => {
  const { to } = await copied(t);
  const times: Record<string, bigint> = {
    exact: 1_600_000_000_123_456n,
    'exact link': 1_600_000_000_999_999n,
    'exact dir': 1_600_000_000_000_001n,
    'before 1970': -4_876_544n,
    file: 1_000_000_000_000_000n,
  };
  for (const [name, microseconds] of Object.entries(times)) {
    t.equal(lstatSync(join(to, name), { bigint: true }).mtimeNs, microseconds * 1000n, name);
  }
});

void t.test('in a directory a copy has the name that was asked for', async (t) => {
  const bench = await openBench(t, made);
  const repository = await bench.open('v1');
  const into = mkdtempSync(join(tmpdir(), 'pinfs-copy-'));
  t.teardown(() => rmSync(into, { recursive: true, force: true }));
  const start = await walk(repository, '/to dir', true);
  await copyOut(repository, start, into, { name: 'to dir' });
  await copyOut(repository, start, into);
  t.same(readdirSync(into), ['closed dir', 'to dir']);
  t.same(readdirSync(join(into, 'to dir')), ['inside']);
});

void t.test('one file is copied under a new name, and nothing is overwritten', async (t) => {
  const { to } = await copied(t, '/file');
  t.equal(readFileSync(to, 'latin1'), 'text');
  const bench = await openBench(t, made);
  const repository = await bench.open('v1');
  const start = await walk(repository, '/file', true);
  t.match(await copyOut(repository, start, to), { before: 1, bytes: 0 });
  writeFileSync(to, 'mine');
  await t.rejects(copyOut(repository, start, to), { code: 'USAGE', exit: 2 });
});
