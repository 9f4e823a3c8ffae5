import t from 'tap';
import { flightKey, wantKey, type Want } from '../../../store/want.js';
import { hashBytes } from '../../../format/hash.js';
import type { Filesystem } from '../../../filesystem/filesystem.js';
import { bodyOf, opcodes } from '../../../testing/fakes/fake-kernel.js';
import { fakeSession, lookUp, type FakeSession } from '../../../testing/fakes/fake-session.js';
import type { Trouble } from './held.js';
import { readErrors, readLatency } from './statistics.js';

const errno = { EINTR: 4, EIO: 5, ETIMEDOUT: 110 };
const content = Buffer.from('0123456789');
const tree = {
  children: {
    file: { bytes: content },
    chunked: { bytes: content, chunkSize: 4 },
    other: { bytes: Buffer.from('other') },
  },
};

/** A session in which nothing is on the shelf. */
function emptyShelf(deadline = 30_000): FakeSession {
  const fake = fakeSession(tree, { settings: { deadline } });
  fake.tree.clear();
  return fake;
}

function read(fake: FakeSession, name: string) {
  const node = lookUp(fake, name);
  return fake.ask(opcodes.READ, bodyOf.read(0, 4096), node);
}

/** Puts an object on the shelf, as the store does before it says "have". */
function fetchKey(fake: FakeSession, bytes: Buffer, kind: 'data' | 'chunk' = 'data'): string {
  const want: Want = {
    object: { hash: hashBytes('sha1', bytes), kind },
    compression: 'none',
    size: { kind: 'exact', bytes: bytes.length },
    path: '',
  };
  fake.tree.present.set(wantKey(want), bytes);
  return flightKey(want);
}

void t.test(
  'a request that misses is held, asked for once, and answered when its object is there',
  (t) => {
    const fake = emptyShelf();
    t.equal(read(fake, 'file'), undefined);
    const first = fake.lastUnique();
    t.equal(read(fake, 'file'), undefined);
    t.equal(fake.misses.length, 1, 'one miss for both');
    t.equal(fake.session.heldCount, 2);
    t.equal(read(fake, 'other'), undefined);
    t.equal(fake.misses.length, 2);
    fake.replies.length = 0;
    fake.now += 5;
    fake.session.have(fetchKey(fake, content), fake.now);
    t.same(
      fake.replies.map(({ unique, error, body }) => [unique, error, body.toString()]),
      [
        [first, 0, '0123456789'],
        [first + 4, 0, '0123456789'],
      ],
    );
    t.equal(fake.session.heldCount, 1);
    t.ok((readLatency(fake.counters, opcodes.READ)?.max ?? 0) >= 5000, 'the wait counts');
    t.end();
  },
);

void t.test('a request that misses again is held again', (t) => {
  const fake = emptyShelf();
  read(fake, 'chunked');
  for (const part of ['0123', '4567', '89']) {
    fake.replies.length = 0;
    t.equal(fake.session.heldCount, 1);
    fake.session.have(fetchKey(fake, Buffer.from(part), 'chunk'), fake.now);
  }
  t.equal(fake.misses.length, 3);
  t.equal(fake.replies[0]?.body.toString(), '0123456789');
  t.end();
});

void t.test('a failed fetch answers all who wait, and is remembered for a second', (t) => {
  const fake = emptyShelf();
  read(fake, 'file');
  read(fake, 'file');
  fake.replies.length = 0;
  fake.session.fail(fake.misses[0]?.key ?? '', errno.EIO, fake.now);
  t.same(
    fake.replies.map(({ error }) => error),
    [-errno.EIO, -errno.EIO],
  );
  fake.now += 900;
  t.equal(read(fake, 'file')?.error, -errno.EIO, 'the kernel asks again in pieces');
  t.equal(fake.misses.length, 1, 'and costs no second fetch');
  fake.now += 200;
  t.equal(read(fake, 'file'), undefined, 'the next one tries again');
  t.equal(fake.misses.length, 2);
  t.end();
});

void t.test('no request outlasts its deadline, and the fetch goes on', (t) => {
  const fake = emptyShelf(10_000);
  read(fake, 'file');
  fake.now += 4000;
  read(fake, 'other');
  t.equal(fake.session.deadline, fake.now + 6000);
  fake.now += 5999;
  fake.session.expire(fake.now);
  t.equal(fake.session.heldCount, 2);
  fake.replies.length = 0;
  fake.now += 1;
  fake.session.expire(fake.now);
  t.same(
    fake.replies.map(({ error }) => error),
    [-errno.ETIMEDOUT],
  );
  t.equal(fake.session.heldCount, 1);
  t.same(fake.dropped, []);
  t.same(readErrors(fake.counters), { SOURCE_TIMEOUT: 1 });
  t.equal(read(fake, 'file')?.error, -errno.ETIMEDOUT, 'the kernel repeats a READ at once');
  t.equal(fake.session.deadline, fake.now + 4000);
  t.end();
});

void t.test('a request is held as long as what it waits for gets on', (t) => {
  const fake = emptyShelf(10_000);
  const news = (bytes: number, trouble?: Trouble) => {
    fake.session.hear(fake.misses[0]?.key ?? '', { bytes, trouble }, fake.now);
  };
  // 10 bytes may take 10 s + 10 ms at 1,024 bytes a second.
  read(fake, 'file');
  t.equal(fake.session.deadline, fake.now + 10_000);
  fake.now += 5000;
  news(10_000);
  t.equal(fake.session.deadline, fake.now + 5000, 'less than a deadline at the least rate');
  news(300);
  t.equal(Math.floor(fake.session.deadline), fake.now + 5009, 'the hard end');
  fake.replies.length = 0;
  fake.now += 5010;
  fake.session.expire(fake.now);
  t.same(
    fake.replies.map(({ error }) => error),
    [-errno.ETIMEDOUT],
  );
  t.end();
});

void t.test('a request that could not be served says why, and a new reader waits anew', (t) => {
  const fake = emptyShelf(10_000);
  const refused: Trouble = {
    errno: errno.EIO,
    error: { code: 'SOURCE_UNREACHABLE', message: 'nothing listens there' },
  };
  read(fake, 'file');
  const key = fake.misses[0]?.key ?? '';
  fake.session.hear(key, { bytes: 0, trouble: refused }, fake.now);
  read(fake, 'file');
  t.same(fake.joined, [key], 'the main thread hears of each');
  fake.now += 10_000;
  fake.replies.length = 0;
  fake.session.expire(fake.now);
  t.same(
    fake.replies.map(({ error }) => error),
    [-errno.EIO, -errno.EIO],
  );
  t.same(readErrors(fake.counters), { SOURCE_UNREACHABLE: 2 });
  for (let repetition = 0; repetition < 4; repetition++) {
    fake.now += 150;
    t.equal(read(fake, 'file')?.error, -errno.EIO, 'the kernel repeats what failed, one by one');
  }
  fake.now += 250;
  t.equal(read(fake, 'file'), undefined, 'who comes later is a new reader');
  fake.replies.length = 0;
  fake.session.have(fetchKey(fake, content), fake.now);
  t.equal(fake.replies[0]?.body.toString(), '0123456789');
  t.end();
});

void t.test('a held request can be interrupted: it gets EINTR, and nobody else does', (t) => {
  const fake = emptyShelf();
  read(fake, 'file');
  const first = fake.lastUnique();
  read(fake, 'file');
  const second = fake.lastUnique();
  fake.ask(opcodes.INTERRUPT, bodyOf.number(first));
  t.same(
    fake.replies.map(({ unique, error }) => [unique, error]),
    [[first, -errno.EINTR]],
  );
  fake.ask(opcodes.INTERRUPT, bodyOf.number(second));
  t.equal(fake.session.heldCount, 0);
  t.same(fake.dropped, [], 'a fetch for READ is never unwanted');
  fake.ask(opcodes.INTERRUPT, bodyOf.number(first));
  fake.ask(opcodes.INTERRUPT, bodyOf.number(987_654));
  t.equal(fake.replies.length, 0, 'of requests that are not held nothing is heard');
  fake.session.have(fetchKey(fake, content), fake.now);
  t.equal(fake.replies.length, 0);
  t.end();
});

/** A filesystem whose lookups of `slow` lack an object until `present` says so. */
function slowLookups(state: { present: boolean }) {
  const object = { hash: hashBytes('sha1', Buffer.from('nested')), kind: 'catalog' } as const;
  const want: Want = {
    object,
    compression: 'zlib',
    size: { kind: 'limit', bytes: 1 },
    path: '/slow',
  };
  return (filesystem: Filesystem): Filesystem => ({
    ...filesystem,
    lookup: (directory, name) =>
      name === 'slow' && !state.present
        ? { kind: 'miss', want }
        : filesystem.lookup(directory, name === 'slow' ? 'file' : name),
  });
}

void t.test(
  'an interrupted LOOKUP that nobody shares drops its fetch; nothing is counted for it',
  (t) => {
    const state = { present: false };
    const fake = fakeSession(tree, { change: slowLookups(state) });
    fake.ask(opcodes.LOOKUP, bodyOf.name('slow'));
    const first = fake.lastUnique();
    fake.ask(opcodes.LOOKUP, bodyOf.name('slow'));
    fake.ask(opcodes.INTERRUPT, bodyOf.number(first));
    t.same(fake.dropped, [], 'another one waits');
    fake.ask(opcodes.INTERRUPT, bodyOf.number(first + 2));
    t.equal(fake.dropped.length, 1);
    t.equal(fake.snapshots.current.lookups, 0);
    t.end();
  },
);

void t.test('one content at two places is two fetches, and each has a fate of its own', (t) => {
  const object = { hash: hashBytes('sha1', Buffer.from('external')), kind: 'data' } as const;
  const wantAt = (path: string): Want => ({
    object,
    compression: 'none',
    size: { kind: 'exact', bytes: 8 },
    path,
    external: { path },
  });
  const fake = fakeSession(tree, {
    change: (filesystem) => ({
      ...filesystem,
      lookup: (_, name) => ({ kind: 'miss', want: wantAt(`/${name}`) }),
    }),
  });
  fake.ask(opcodes.LOOKUP, bodyOf.name('one'));
  const first = fake.lastUnique();
  fake.ask(opcodes.LOOKUP, bodyOf.name('two'));
  t.equal(fake.misses.length, 2, 'both are asked for');
  fake.replies.length = 0;
  fake.session.fail(fake.misses[0]?.key ?? '', errno.EIO, fake.now);
  t.same(
    fake.replies.map(({ unique }) => unique),
    [first],
  );
  t.equal(fake.session.heldCount, 1, 'the other one may be there');
  t.end();
});

void t.test('hits are answered while others wait', (t) => {
  const state = { present: false };
  const fake = fakeSession(tree, { change: slowLookups(state) });
  fake.ask(opcodes.LOOKUP, bodyOf.name('slow'));
  t.equal(read(fake, 'file')?.body.toString(), '0123456789');
  state.present = true;
  fake.replies.length = 0;
  fake.session.have(fake.misses[0]?.key ?? '', fake.now);
  t.equal(fake.replies[0]?.error, 0);
  t.equal(fake.snapshots.current.lookups, 2, 'each run counts once');
  t.end();
});

void t.test('an operation that never gets enough ends with EIO, not in a loop', (t) => {
  const state = { present: false };
  const fake = fakeSession(tree, { change: slowLookups(state) });
  fake.ask(opcodes.LOOKUP, bodyOf.name('slow'));
  fake.replies.length = 0;
  let rounds = 0;
  for (; rounds < 200 && fake.session.heldCount > 0; rounds += 1) {
    fake.session.have(fake.misses.at(-1)?.key ?? '', fake.now);
  }
  t.ok(rounds < 200);
  t.equal(fake.replies[0]?.error, -errno.EIO);
  t.same(readErrors(fake.counters), { INTERNAL: 1 });
  t.end();
});

void t.test('when the loop is left everybody who waits gets an answer', (t) => {
  const fake = emptyShelf();
  read(fake, 'file');
  read(fake, 'other');
  fake.replies.length = 0;
  fake.session.stop(errno.EIO);
  t.same(
    fake.replies.map(({ error }) => error),
    [-errno.EIO, -errno.EIO],
  );
  t.equal(fake.session.heldCount, 0);
  t.end();
});
