import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { memorySource } from '../../testing/fakes/memory-source.js';
import type { Disk } from './disk.js';
import { DiskFull, NoRoom } from './full.js';
import { openKeeper, type Target } from './keeper.js';
import { prepareObject } from './prepare.js';

/** A place whose disk is full for a number of writes. */
function place(t: Test, writesThatFail: number, makesRoom: boolean, limit = 1e9) {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-place-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  const asked: number[] = [];
  let left = writesThatFail;
  let files = 0;
  const disk = {
    directory,
    limit,
    temporary: () => join(directory, `new-${++files}`),
    makeRoom: (bytes: number) => {
      asked.push(bytes);
      return makesRoom;
    },
    isInPlace: () => true,
    noRoomAfterAll: () => asked.push(-1),
  } as unknown as Disk;
  const committer = {
    add: () => Promise.resolve(),
    addAll: () => Promise.resolve([]),
    close: () => undefined,
  };
  const write = (...args: Parameters<typeof prepareObject>) => {
    if (left-- > 0) throw new NoRoom(10, false);
    return prepareObject(...args);
  };
  return { asked, directory, place: { disk, committer } satisfies Target, write };
}

type Made = ReturnType<typeof place>;

function unpackerOf(...made: readonly Made[]) {
  const prepare = (...args: Parameters<typeof prepareObject>) =>
    new Promise<ReturnType<typeof prepareObject>>((resolve) => {
      const one = made.find(({ directory }) => args[2].startsWith(directory));
      resolve((one?.write ?? prepareObject)(...args));
    });
  return { prepare };
}

const source = memorySource();
const want = source.put(Buffer.from('some bytes'));
const [stored = Buffer.alloc(0)] = source.files.values();

void t.test(
  'on a full disk room is made for what is needed, and it is written again',
  async (t) => {
    const cache = place(t, 1, true);
    const keeper = openKeeper(cache.place, { place: () => undefined }, unpackerOf(cache));
    t.equal(await keeper.keep(want, stored), 10);
    t.same(cache.asked, [10]);
    t.equal(keeper.notStored, undefined);
  },
);

void t.test('what can not be stored passes through the spare, and that is told', async (t) => {
  for (const [fails, makes] of [
    [2, true],
    [1, false],
  ] as const) {
    const [cache, spare] = [place(t, fails, makes), place(t, 0, true)];
    const keeper = openKeeper(cache.place, { place: () => spare.place }, unpackerOf(cache, spare));
    await keeper.keep(want, stored);
    t.ok(existsSync(join(spare.directory, 'new-1')));
    t.match(keeper.notStored, { objects: 1, reason: /is full/, directory: spare.directory });
    t.same(cache.asked, makes ? [10, -1] : [10], 'room that was lost is told');
    await keeper.keep(want, stored);
    t.equal(keeper.notStored, undefined, 'there is room again');
  }
});

void t.test('a cache that can not be written to', async (t) => {
  const spare = place(t, 0, true);
  const reason = new DiskFull('so it is');
  const keeper = openKeeper(reason, { place: () => spare.place }, unpackerOf(spare));
  await keeper.keep(want, stored);
  t.match(keeper.notStored, { reason: 'so it is', advice: /--cache DIR/ });
});

void t.test('with no room anywhere the reason of the cache is told', async (t) => {
  for (const spare of [undefined, place(t, 1, false)]) {
    const cache = place(t, 1, false);
    const places = spare === undefined ? [cache] : [cache, spare];
    const keeper = openKeeper(cache.place, { place: () => spare?.place }, unpackerOf(...places));
    const message = new RegExp(`${cache.directory} is full`);
    await t.rejects(keeper.keep(want, stored), { code: 'CACHE_FULL', message });
  }
});

void t.test('a fault of the disk does not end reading, damage of the object does', async (t) => {
  const [cache, spare] = [place(t, 0, true), place(t, 0, true)];
  const broken = () => {
    throw Object.assign(new Error('no'), { code: 'EROFS' });
  };
  const unpacker = unpackerOf({ ...cache, write: broken }, spare);
  const keeper = openKeeper(cache.place, { place: () => spare.place }, unpacker);
  await keeper.keep(want, stored);
  t.match(keeper.notStored, { reason: /can't be used: the file system is read-only/ });
  await t.rejects(keeper.keep(want, Buffer.from('wrong')), { code: 'OBJECT_HASH_MISMATCH' });
  const none = openKeeper(cache.place, { place: () => undefined }, unpacker);
  await t.rejects(none.keep(want, stored), { code: 'CACHE_UNUSABLE' });
});
