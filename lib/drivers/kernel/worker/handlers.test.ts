import t from 'tap';
import { errno } from '../../../format/errno.js';
import { bodyOf, opcodes, readDirents } from '../../../testing/fakes/fake-kernel.js';
import { fakeSession, lookUp, sampleTree } from '../../../testing/fakes/fake-session.js';

const tree = sampleTree;

void t.test('a directory comes in records that fit, and goes on behind each of them', (t) => {
  const fake = fakeSession(tree);
  for (const plus of [false, true]) {
    const opcode = plus ? opcodes.READDIRPLUS : opcodes.READDIR;
    const names: string[] = [];
    let cookie = 0;
    for (let round = 0; round < 30; round += 1) {
      const reply = fake.ask(opcode, bodyOf.read(cookie, plus ? 400 : 80));
      const entries = readDirents(reply?.body ?? Buffer.alloc(0), plus);
      if (entries.length === 0) break;
      for (const entry of entries) names.push(entry.name);
      cookie = entries.at(-1)?.cookie ?? 0;
    }
    t.same(names, ['.', '..', ...Object.keys(tree.children ?? {})], plus ? 'plus' : 'plain');
  }
  const tiny = fake.ask(opcodes.READDIR, bodyOf.read(0, 16));
  t.equal(tiny?.error, 0);
  t.equal(tiny?.body.length, 0);
  t.end();
});

void t.test('READDIRPLUS gives nodes, but none for dots and for broken entries', (t) => {
  const fake = fakeSession(tree);
  const reply = fake.ask(opcodes.READDIRPLUS, bodyOf.read(0, 32768));
  const entries = readDirents(reply?.body ?? Buffer.alloc(0), true);
  const without = entries.filter(({ node }) => node?.readBigUInt64LE(0) === 0n);
  t.same(
    without.map(({ name }) => name),
    ['.', '..', 'broken'],
  );
  const deep = entries.find(({ name }) => name === 'hello')?.node;
  t.equal(fake.ask(opcodes.GETATTR, bodyOf.getattr(), deep)?.body.readUInt32LE(16 + 8), 13);
  t.end();
});

void t.test('extended attributes', (t) => {
  const fake = fakeSession(tree);
  const node = lookUp(fake, 'tagged');
  const get = (size: number, name: string) =>
    fake.ask(opcodes.GETXATTR, bodyOf.getxattr(size, name), node);
  t.equal(get(0, 'user.note')?.body.readUInt32LE(0), 2, 'the size that is needed');
  t.equal(get(64, 'user.note')?.body.toString(), 'v1');
  t.equal(get(1, 'user.note')?.error, -errno.ERANGE);
  t.equal(get(64, 'security.selinux')?.error, -errno.EOPNOTSUPP);
  const list = fake.ask(opcodes.LISTXATTR, bodyOf.number(4096), node);
  t.ok(list?.body.toString('latin1').split('\0').includes('user.note'));
  t.equal(fake.ask(opcodes.LISTXATTR, bodyOf.number(1), node)?.error, -errno.ERANGE);
  const without = fakeSession(tree, { settings: { noXattrs: true } });
  const reply = without.ask(
    opcodes.GETXATTR,
    bodyOf.getxattr(64, 'user.note'),
    lookUp(without, 'tagged'),
  );
  t.equal(reply?.error, -errno.ENOSYS, 'the kernel stops asking');
  t.equal(without.ask(opcodes.LISTXATTR, bodyOf.number(64))?.error, -errno.ENOSYS);
  t.end();
});

void t.test('what nearly nobody has is not looked for; what is stored is shown', (t) => {
  const asked: string[] = [];
  const fake = fakeSession(
    {
      children: {
        plain: { bytes: Buffer.from('p') },
        capable: {
          bytes: Buffer.from('c'),
          xattrs: new Map([['security.capability', Buffer.from('1')]]),
        },
      },
    },
    {
      change: (filesystem) => ({
        ...filesystem,
        getxattr(node, name) {
          asked.push(name);
          return filesystem.getxattr(node, name);
        },
      }),
    },
  );
  const get = (name: string, node: Buffer) =>
    fake.ask(opcodes.GETXATTR, bodyOf.getxattr(64, name), node);
  const plain = lookUp(fake, 'plain');
  t.equal(get('security.selinux', plain)?.error, -errno.EOPNOTSUPP, 'ls asks no further');
  t.equal(get('security.capability', plain)?.error, -errno.ENODATA);
  t.equal(get('system.posix_acl_access', plain)?.error, -errno.ENODATA);
  t.same(asked, []);
  t.equal(get('user.none', plain)?.error, -errno.ENODATA);
  t.equal(get('security.capability', lookUp(fake, 'capable'))?.body.toString(), '1');
  get('xfsroot.rawlink', plain);
  t.same(asked, ['user.none', 'security.capability', 'xfsroot.rawlink']);
  t.end();
});
