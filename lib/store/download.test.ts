import { join } from 'node:path';
import t, { type Test } from 'tap';
import { memorySource } from '../testing/memory-source.js';
import { download } from './download.js';
import type { Leg } from './flights.js';
import { prepareObject } from './prepare.js';

/** A disk that is full for a number of times. */
function fullDisk(t: Test, times: number, evicts: boolean) {
  const directory = t.testdir();
  let left = times;
  const asked: number[] = [];
  return {
    asked,
    disk: {
      directory,
      temporary: () => join(directory, 'new'),
      evict: (bytes: number) => {
        asked.push(bytes);
        return evicts;
      },
    },
    unpacker: {
      prepare: (...args: Parameters<typeof prepareObject>) => {
        if (left-- > 0) return Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' }));
        return Promise.resolve(prepareObject(...args));
      },
    },
  };
}

const leg: Leg = {
  signal: new AbortController().signal,
  demand: {
    urgency: 'wanted',
    persistent: false,
    watch: () => () => undefined,
    came: () => undefined,
    failed: () => undefined,
  },
  transfer: (run) => run(),
};

void t.test('on a full disk room is made, and the bytes are written again', async (t) => {
  const source = memorySource();
  const want = source.put(Buffer.from('some bytes'));
  const { disk, unpacker, asked } = fullDisk(t, 1, true);
  t.match(await download(source, want, disk, unpacker, leg), { size: 10 });
  t.same(asked, [8192]);
  t.equal(source.requests.length, 1, 'they are not fetched again');
});

void t.test('on a disk that stays full, or where nothing can be removed', async (t) => {
  const source = memorySource();
  const want = source.put(Buffer.from('some bytes'));
  for (const { disk, unpacker } of [fullDisk(t, 2, true), fullDisk(t, 1, false)]) {
    await t.rejects(download(source, want, disk, unpacker, leg), { code: 'CACHE_FULL' });
  }
});

void t.test('other errors of the disk', async (t) => {
  const source = memorySource();
  const want = source.put(Buffer.from('some bytes'));
  const { disk } = fullDisk(t, 0, true);
  const unpacker = {
    prepare: () => Promise.reject(Object.assign(new Error('no'), { code: 'EROFS' })),
  };
  await t.rejects(download(source, want, disk, unpacker, leg), { code: 'CACHE_UNUSABLE' });
});
