import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Test } from 'tap';
import type { ListedFile, Storage } from '../../publish/storage/storage.js';

/** Opens the same empty storage each time it is called. */
export type OpenStorage = () => Promise<Storage>;

async function listed(storage: Storage, prefix: string): Promise<ListedFile[]> {
  const files: ListedFile[] = [];
  for await (const file of storage.list(prefix)) files.push(file);
  return files;
}

/** What every storage does alike. */
export async function storageConformance(t: Test, open: OpenStorage): Promise<void> {
  const storage = await open();
  const release = await storage.lock();
  t.teardown(() => storage.close());

  await t.test('what was written is read', async (t) => {
    const bytes = Buffer.from('C0\n--\n\0\xff', 'latin1');
    t.equal(await storage.read('.cvmfspublished', 100), undefined);
    t.equal(await storage.stream('data/00/none'), undefined);
    t.notOk(await storage.has('.cvmfspublished'));
    t.equal(await storage.write('.cvmfspublished', bytes), 'written');
    t.ok(await storage.has('.cvmfspublished'));
    t.same((await storage.read('.cvmfspublished', 100))?.bytes, bytes);
    await t.rejects(storage.read('.cvmfspublished', bytes.length - 1), {
      code: 'OBJECT_TOO_LARGE',
    });
    t.equal(await storage.write('.cvmfspublished', Buffer.alloc(0)), 'written', 'again');
    t.equal((await storage.read('.cvmfspublished', 100))?.bytes.length, 0);
  });

  await t.test('files are taken, of any size', async (t) => {
    const file = join(t.testdir(), 'content');
    const large = Buffer.alloc(3_000_000, 'large');
    for (const [path, bytes] of [
      ['data/00/large', large],
      ['data/00/emptyP', Buffer.alloc(0)],
    ] as const) {
      writeFileSync(file, bytes);
      t.equal(await storage.write(path, { file, size: bytes.length }, 'absent'), 'written');
      const stream = await storage.stream(path);
      t.ok(stream !== undefined && (await buffer(stream)).equals(bytes), path);
    }
  });

  await t.test('nothing is written a second time where it shall be absent', async (t) => {
    for (const path of ['data/01/twice', '.cvmfsonce']) {
      t.equal(await storage.write(path, Buffer.from('one'), 'absent'), 'written');
      t.equal(await storage.write(path, Buffer.from('two'), 'absent'), 'refused');
      t.equal(String((await storage.read(path, 10))?.bytes), 'one');
    }
  });

  await t.test('only the version that was read is replaced', async (t) => {
    await storage.write('head', Buffer.from('1'));
    const first = await storage.read('head', 10);
    const only = { version: first?.version ?? '' };
    t.equal(await storage.write('head', Buffer.from('2'), only), 'written');
    t.equal(await storage.write('head', Buffer.from('3'), only), 'refused');
    t.equal(String((await storage.read('head', 10))?.bytes), '2');
    t.equal(await storage.write('none', Buffer.from('3'), only), 'refused');
    t.notOk(await storage.has('none'));
  });

  await t.test('files are listed by their prefix, and removed', async (t) => {
    await storage.write('data/0a/one', Buffer.from('1234'));
    await storage.write('data/0a/two+P', Buffer.from(''));
    const before = await listed(storage, 'data/0');
    t.same(before.map(({ path }) => path).sort(), [
      'data/00/emptyP',
      'data/00/large',
      'data/01/twice',
      'data/0a/one',
      'data/0a/two+P',
    ]);
    const [one] = await listed(storage, 'data/0a/o');
    t.match(one, { path: 'data/0a/one', size: 4 });
    t.ok(Math.abs(Date.now() - Number(one?.modified)) < 60_000, 'with the time');
    t.notOk((await listed(storage, '')).some(({ path }) => path.startsWith('.pinfs')));
    await storage.remove('data/0a/one');
    await storage.remove('data/0a/one');
    t.same(await listed(storage, 'data/0a/o'), []);
    t.notOk(await storage.has('data/0a/one'));
  });

  await t.test('one publisher at a time', async (t) => {
    const other = await open();
    await t.rejects(other.lock(), { code: 'STORAGE_BUSY' });
    await release();
    const releaseOther = await other.lock();
    await t.rejects(storage.lock(), { code: 'STORAGE_BUSY' });
    await releaseOther();
    await other.close();
  });
}
