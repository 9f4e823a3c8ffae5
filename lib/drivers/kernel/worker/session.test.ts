import t from 'tap';
import { bodyOf, opcodes, readDirents, requestBytes } from '../../../testing/fakes/fake-kernel.js';
import { fakeSession, lookUp, sampleTree } from '../../../testing/fakes/fake-session.js';
import { operationByNumber, operations } from './opcodes.js';
import { readErrors, readLatency } from './statistics.js';

const errno = {
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EINVAL: 22,
  EROFS: 30,
  ERANGE: 34,
  ENOSYS: 38,
  ENODATA: 61,
  ETIMEDOUT: 110,
  ESTALE: 116,
};

const tree = sampleTree;
const unlimited = 0xffffffff;

void t.test('a pin keeps names, absent names and attributes for ever', (t) => {
  const fake = fakeSession(tree);
  const found = fake.ask(opcodes.LOOKUP, bodyOf.name('hello'));
  t.equal(found?.error, 0);
  t.equal(found?.length, 16 + 128);
  t.equal(found?.body.readUInt32LE(16), unlimited, 'the name');
  t.equal(found?.body.readUInt32LE(24), unlimited, 'the attributes');
  t.equal(found?.body.readUInt32LE(40 + 8), 13, 'the size');
  const absent = fake.ask(opcodes.LOOKUP, bodyOf.name('nothing'));
  t.equal(absent?.error, 0, 'ENOENT would not be kept');
  t.equal(absent?.body.readBigUInt64LE(0), 0n, 'node id 0');
  t.equal(absent?.body.readUInt32LE(16), unlimited);
  const node = lookUp(fake, 'hello');
  const attributes = fake.ask(opcodes.GETATTR, bodyOf.getattr(), node);
  t.equal(attributes?.body.readUInt32LE(0), unlimited);
  t.equal(attributes?.body.readUInt32LE(16 + 60), 0o100644);
  const root = fake.ask(opcodes.GETATTR, bodyOf.getattr(), 1);
  t.equal(root?.body.readUInt32LE(16 + 60), 0o040755);
  t.end();
});

void t.test('a head keeps names for a while, and attributes of all but the root', (t) => {
  const fake = fakeSession(tree, { settings: { lifetime: 1.5, noOpen: false, noOpendir: false } });
  const found = fake.ask(opcodes.LOOKUP, bodyOf.name('hello'));
  t.equal(found?.body.readUInt32LE(16), 1);
  t.equal(found?.body.readUInt32LE(32), 500_000_000);
  t.equal(found?.body.readUInt32LE(24), unlimited);
  const root = fake.ask(opcodes.GETATTR, bodyOf.getattr(), 1);
  t.equal(root?.body.readUInt32LE(0), 1, 'the root is another one after a change');
  t.end();
});

void t.test('names and targets are bytes', (t) => {
  const fake = fakeSession(tree);
  const node = lookUp(fake, 'caf\xe9');
  t.not(node.readBigUInt64LE(0), 0n);
  t.same(
    fake.ask(opcodes.READLINK, undefined, lookUp(fake, 'link'))?.body,
    Buffer.from('caf\xe9', 'latin1'),
  );
  const listing = fake.ask(opcodes.READDIR, bodyOf.read(0, 4096));
  t.ok(readDirents(listing?.body ?? Buffer.alloc(0), false).some(({ name }) => name === 'caf\xe9'));
  t.end();
});

void t.test('reads across chunks, at the end, and behind it', (t) => {
  const fake = fakeSession(tree);
  const node = lookUp(fake, 'chunked');
  const read = (offset: number, size: number) =>
    fake.ask(opcodes.READ, bodyOf.read(offset, size), node)?.body.toString();
  t.equal(read(0, 4096), '0123456789');
  t.equal(read(3, 3), '345');
  t.equal(read(8, 100), '89');
  t.equal(read(10, 10), '');
  t.equal(read(1e12, 10), '');
  const tooLarge = fake.ask(opcodes.READ, bodyOf.read(0, 0x7fffffff), node);
  t.equal(tooLarge?.error, -errno.EINVAL, 'a short answer would mean the end of the file');
  t.end();
});

void t.test(
  'the end of a listing is told without asking again, but for that directory only',
  (t) => {
    const asked: number[][] = [];
    const fake = fakeSession(tree, {
      change: (filesystem) => ({
        ...filesystem,
        readdir(node, after, limit) {
          asked.push([node, after]);
          return filesystem.readdir(node, after, limit);
        },
      }),
    });
    const list = (after: number, size: number, node?: Buffer) => {
      const reply = fake.ask(opcodes.READDIRPLUS, bodyOf.read(after, size), node);
      return readDirents(reply?.body ?? Buffer.alloc(0), true);
    };
    const all = list(0, 32768);
    const last = all.at(-1)?.cookie ?? 0;
    t.equal(asked.length, 1);
    t.same(list(last, 32768), []);
    t.equal(asked.length, 1, 'known');
    const sub = lookUp(fake, 'sub');
    t.ok(Array.isArray(list(last, 32768, sub)));
    t.equal(asked.length, 2, 'another directory');
    t.equal(list(0, 32768).length, all.length, 'and from the start everything again');
    const cut = list(0, 500);
    t.ok(cut.length < all.length);
    t.equal(
      list(cut.at(-1)?.cookie ?? 0, 32768).length,
      all.length - cut.length,
      'no end is made up',
    );
    t.end();
  },
);

void t.test('lookups are counted, and taken back by FORGET and BATCH_FORGET', (t) => {
  const fake = fakeSession(tree);
  const { current } = fake.snapshots;
  const hello = lookUp(fake, 'hello');
  lookUp(fake, 'hello');
  const sub = lookUp(fake, 'sub');
  fake.ask(opcodes.LOOKUP, bodyOf.name('nothing'));
  t.equal(current.lookups, 3, 'an absent name does not count');
  fake.ask(opcodes.READDIRPLUS, bodyOf.read(0, 32768));
  t.equal(current.lookups, 3 + 7, 'every entry of READDIRPLUS that has a node');
  t.equal(fake.ask(opcodes.FORGET, bodyOf.number(2), hello), undefined, 'no reply');
  t.equal(fake.replies.length, 0);
  t.equal(current.lookups, 8);
  const batch = bodyOf.forgets([
    { node: sub, count: 1 },
    { node: hello, count: 7 },
  ]);
  fake.ask(opcodes.BATCH_FORGET, batch);
  t.equal(fake.replies.length, 0);
  t.equal(current.lookups, 0);
  t.equal(fake.snapshots.oddForgets, 0);
  fake.ask(opcodes.FORGET, bodyOf.number(1), hello);
  t.equal(current.lookups, 0, 'never below nothing');
  t.equal(fake.snapshots.oddForgets, 1);
  t.end();
});

void t.test('opening is asked once for a pin, and answered for a head', (t) => {
  const pin = fakeSession(tree);
  const file = lookUp(pin, 'hello');
  t.equal(pin.ask(opcodes.OPEN, bodyOf.open(), file)?.error, -errno.ENOSYS);
  t.equal(pin.ask(opcodes.OPENDIR, bodyOf.open())?.error, -errno.ENOSYS);
  t.equal(pin.ask(opcodes.OPEN, bodyOf.open(1), file)?.error, -errno.EROFS, 'for writing');
  t.equal(pin.ask(opcodes.FLUSH, Buffer.alloc(24), file)?.error, -errno.ENOSYS);
  const head = fakeSession(tree, { settings: { lifetime: 60, noOpen: false, noOpendir: false } });
  const opened = head.ask(opcodes.OPEN, bodyOf.open(), lookUp(head, 'hello'));
  t.equal(opened?.error, 0);
  t.equal(opened?.body.readUInt32LE(8), 2 | 32, 'pages keep, no FLUSH');
  const sub = head.ask(opcodes.OPENDIR, bodyOf.open(), lookUp(head, 'sub'));
  t.equal(sub?.body.readUInt32LE(8), 2 | 8, 'the listing keeps');
  const root = head.ask(opcodes.OPENDIR, bodyOf.open());
  t.equal(root?.body.readUInt32LE(8), 0, 'that of the root does not');
  const handle = Number(root?.body.readBigUInt64LE(0));
  t.equal(head.ask(opcodes.RELEASEDIR, bodyOf.release(handle))?.error, 0);
  t.equal(head.snapshots.oddForgets, 0);
  t.end();
});

void t.test('an old kernel that does not know "never ask again" is not told so', (t) => {
  const fake = fakeSession(tree, { minor: 31 });
  const body = bodyOf.init(31, { flags: 0, flags2: 0 });
  t.equal(fake.ask(opcodes.INIT, body)?.error, 0);
  t.equal(fake.ask(opcodes.OPEN, bodyOf.open(), lookUp(fake, 'hello'))?.error, 0);
  t.equal(fake.ask(opcodes.OPENDIR, bodyOf.open())?.error, 0);
  t.end();
});

void t.test('statfs answers without a node', (t) => {
  const fake = fakeSession(tree);
  const reply = fake.ask(opcodes.STATFS, undefined, 0);
  t.equal(reply?.error, 0);
  t.equal(reply?.body.readUInt32LE(44), 255);
  t.end();
});

void t.test('whatever writes is refused as on any read-only file system', (t) => {
  const fake = fakeSession(tree);
  for (const opcode of [4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51, 53]) {
    const name = operationByNumber[opcode]?.name ?? String(opcode);
    t.equal(fake.ask(opcode, Buffer.alloc(80))?.error, -errno.EROFS, name);
  }
  t.end();
});

void t.test('unknown opcodes are refused and counted', (t) => {
  const fake = fakeSession(tree);
  for (const opcode of [0, 7, 19, 54, 63, 64, 4096, 0xffffffff]) {
    t.equal(fake.ask(opcode, Buffer.alloc(16))?.error, -errno.ENOSYS, String(opcode));
  }
  t.equal(readLatency(fake.counters, 0)?.count, 8);
  t.equal(readLatency(fake.counters, opcodes.INIT)?.count, 1);
  t.end();
});

void t.test('the table names each opcode once', (t) => {
  t.equal(new Set(operations.map(({ number }) => number)).size, operations.length);
  t.equal(new Set(operations.map(({ name }) => name)).size, operations.length);
  t.end();
});

void t.test('requests that are cut or lie about their length get EINVAL, never silence', (t) => {
  const fake = fakeSession(tree);
  const node = lookUp(fake, 'hello');
  const bodies: Record<string, number> = {
    LOOKUP: opcodes.LOOKUP,
    READ: opcodes.READ,
    READDIR: opcodes.READDIR,
    READDIRPLUS: opcodes.READDIRPLUS,
    GETXATTR: opcodes.GETXATTR,
    LISTXATTR: opcodes.LISTXATTR,
    OPEN: opcodes.OPEN,
    INIT: opcodes.INIT,
    RELEASEDIR: opcodes.RELEASEDIR,
  };
  for (const [name, opcode] of Object.entries(bodies)) {
    t.equal(fake.ask(opcode, Buffer.alloc(0), node)?.error, -errno.EINVAL, name);
  }
  const lying = requestBytes({
    opcode: 1,
    unique: fake.lastUnique(),
    claimed: 4000,
    body: bodyOf.name('hello'),
  });
  t.equal(fake.askBytes(lying)?.error, -errno.EINVAL);
  fake.askBytes(Buffer.alloc(39));
  t.equal(fake.replies.length, 0, 'there is nobody to answer');
  fake.ask(opcodes.FORGET, Buffer.alloc(0), node);
  fake.ask(opcodes.BATCH_FORGET, Buffer.from('ffffffff00000000', 'hex'));
  fake.ask(opcodes.INTERRUPT, Buffer.alloc(0));
  t.equal(fake.replies.length, 0, 'these never have a reply');
  t.end();
});

void t.test('node ids that were never given out', (t) => {
  const fake = fakeSession(tree);
  for (const node of [0, 2, 77, 2 ** 40]) {
    t.equal(fake.ask(opcodes.GETATTR, bodyOf.getattr(), node)?.error, -errno.ESTALE, String(node));
  }
  const known = lookUp(fake, 'hello');
  known.writeUInt32LE(99_999, 0);
  t.equal(fake.ask(opcodes.GETATTR, bodyOf.getattr(), known)?.error, -errno.ENOENT);
  t.end();
});

void t.test(
  'an exception in the filesystem costs EIO and is reported, and no errno leaves the range',
  (t) => {
    const fake = fakeSession(tree, {
      change: (filesystem) => ({
        ...filesystem,
        readlink: () => {
          throw new TypeError('a fault of ours');
        },
        getattr: () => ({ kind: 'failure', errno: 600 }),
      }),
    });
    const link = lookUp(fake, 'link');
    t.equal(fake.ask(opcodes.READLINK, undefined, link)?.error, -errno.EIO);
    t.equal(fake.reported[0]?.message, 'a fault of ours');
    t.equal(readErrors(fake.counters).INTERNAL, 1);
    t.equal(
      fake.ask(opcodes.GETATTR, bodyOf.getattr(), link)?.error,
      -errno.EIO,
      '600 would hang the client',
    );
    t.equal(fake.ask(opcodes.STATFS)?.error, 0, 'the mount lives on');
    t.end();
  },
);

void t.test('a broken entry is EIO for a reason that is counted', (t) => {
  const fake = fakeSession(tree);
  t.equal(fake.ask(opcodes.LOOKUP, bodyOf.name('broken'))?.error, -errno.EIO);
  t.same(readErrors(fake.counters), { OBJECT_SIZE_MISMATCH: 1 });
  t.end();
});
