import t, { type Test as Tap } from 'tap';
import type { Entry } from '../../../tree/entry.js';
import { makeFakeTree } from '../../../testing/fakes/fake-tree.js';
import { fakeFilesystem } from '../../../testing/fakes/fake-session.js';
import { encodeInit, negotiate, usualWishes } from './negotiation.js';
import { invalidateAttributes, invalidateName, incEpoch } from '../worker/notifications.js';
import * as protocol from './protocol.js';

// The bytes below were written by a C program compiled with the kernel's own linux/fuse.h.

const attributes: Entry = (() => {
  const filesystem = fakeFilesystem(makeFakeTree({ children: {} }));
  const root = filesystem.getattr(filesystem.root);
  if (root.kind !== 'done') throw new Error('the fake root has attributes');
  return {
    ...root.value,
    ino: 0x1122334455667788n,
    mode: 0o100644,
    nlink: 2,
    uid: 1000,
    gid: 4294967294,
    rdev: 0x300801,
    size: 0x500000003,
    mtime: -5,
    mtimeNs: 999_999_999,
  };
})();

const attr =
  '887766554433221103000000050000000100800200000000fbfffffffffffffffbfffffffffffffffbffffffffffffff' +
  'ffc99a3bffc99a3bffc99a3ba481000002000000e8030000feffffff010830000010000000000000';
const entry = `07000000010020000000000000000000ffffffff000000003c00000000000000000000000065cd1d${attr}`;
const minute = { seconds: 60, nanoseconds: 500_000_000 };
const forEver = { seconds: 0xffffffff, nanoseconds: 0 };

function written(
  t: Pick<Tap, 'equal' | 'ok'>,
  size: number,
  write: (output: protocol.Frame) => number,
): string {
  const output = protocol.makeFrame(4096);
  output.bytes.fill(0xee);
  const length = write(output);
  t.equal(length, size, 'the size of the structure');
  t.ok(
    output.bytes.subarray(length).every((byte) => byte === 0xee),
    'nothing is written behind it',
  );
  return output.bytes.toString('hex', 0, length);
}

function frameOf(bodyHex: string): protocol.Frame {
  const header = '2d000000010000000200000001000000070000000100200001000000020000000300000000000000';
  const bytes = Buffer.from(header + bodyHex, 'hex');
  const frame = protocol.makeFrame(4096);
  bytes.copy(frame.bytes);
  frame.length = bytes.length;
  return frame;
}

void t.test('the request header', (t) => {
  const frame = frameOf(Buffer.from('name\0').toString('hex'));
  t.equal(protocol.inHeader.length(frame), 45);
  t.equal(protocol.inHeader.opcode(frame), 1);
  t.equal(protocol.inHeader.unique(frame), 0x100000002);
  t.equal(protocol.inHeader.nodeLow(frame), 7);
  t.equal(protocol.inHeader.nodeHigh(frame), 0x00200001);
  t.equal(protocol.inHeader.pid(frame), 3);
  t.equal(protocol.decodeName(frame), 'name');
  t.end();
});

void t.test('structures of requests', (t) => {
  const init = `070000002d00000000000200fbffff73fd050000${'00'.repeat(44)}`;
  t.same(protocol.decodeInit(frameOf(init)), {
    major: 7,
    minor: 45,
    maxReadahead: 131072,
    flags: 0x73fffffb,
    flags2: 0x5fd,
  });
  t.equal(protocol.decodeOpen(frameOf('0080000000000000')), 0x8000);
  const read = '05000000000000000200000001000000000002000000000009000000000000000080000000000000';
  t.same(protocol.decodeRead(frameOf(read)), { handle: 5, offset: 0x100000002, size: 131072 });
  t.equal(protocol.decodeRelease(frameOf('050000000000000001000000020000000300000000000000')), 5);
  const name = Buffer.from('user.fqrn\0').toString('hex');
  t.same(protocol.decodeGetxattr(frameOf(`4000000000000000${name}`)), {
    size: 64,
    name: 'user.fqrn',
  });
  t.equal(protocol.decodeListxattr(frameOf('4000000000000000')), 64);
  t.equal(protocol.decodeInterrupt(frameOf('0200000001000000')), 0x100000002);
  const forgotten: number[][] = [];
  const collect = (high: number, count: number) => forgotten.push([high, count]);
  t.ok(protocol.decodeForgets(frameOf('0300000000000000'), false, collect));
  const batch = '02000000000000000700000001002000010000000000000001000000000040000200000000000000';
  t.ok(protocol.decodeForgets(frameOf(batch), true, collect));
  t.same(forgotten, [
    [0x00200001, 3],
    [0x00200001, 1],
    [0x00400000, 2],
  ]);
  t.end();
});

void t.test('structures of replies', (t) => {
  const header = protocol.makeFrame(16);
  protocol.encodeReplyHeader(header, 16, -2, 2, 1);
  t.equal(header.bytes.toString('hex'), '10000000feffffff0200000001000000');
  t.equal(
    written(t, 128, ({ view }) =>
      protocol.encodeEntry(view, 0, 7, 0x00200001, 0, attributes, forEver, minute),
    ),
    entry,
  );
  t.equal(
    written(t, 128, (output) => protocol.encodeNoEntry(output, 0, forEver)),
    `${'00'.repeat(16)}ffffffff${'00'.repeat(108)}`,
  );
  t.equal(
    written(t, 104, ({ view }) => protocol.encodeAttrOut(view, 0, attributes, minute)),
    `3c000000000000000065cd1d00000000${attr}`,
  );
  t.equal(
    written(t, 16, ({ view }) => protocol.encodeOpen(view, 0, 5, 10)),
    '05000000000000000a00000000000000',
  );
  t.equal(
    written(t, 32, (output) => protocol.encodeDirent(output, 0, 'hello', attributes, 9)),
    '88776655443322110900000000000000050000000800000068656c6c6f000000',
  );
  t.equal(
    written(t, 80, (output) =>
      protocol.encodeStatfs(output, 0, {
        blockSize: 4096,
        blocks: 100,
        blocksFree: 40,
        files: 7,
        filesFree: 3,
        nameMax: 255,
      }),
    ),
    `6400000000000000280000000000000028000000000000000700000000000000030000000000000000100000ff00000000100000${'00'.repeat(28)}`,
  );
  t.equal(
    written(t, 8, ({ view }) => protocol.encodeXattrSize(view, 0, 11)),
    '0b00000000000000',
  );
  t.end();
});

void t.test('the answer to INIT', (t) => {
  const request = { major: 7, minor: 45, maxReadahead: 131072, flags: 0x73fffffb, flags2: 0x5fd };
  const connection = negotiate(request, usualWishes);
  if (typeof connection === 'string') throw new Error(connection);
  t.equal(
    written(t, 64, (output) => encodeInit(output, 0, connection)),
    `070000002d000000000010000120f6414000300000100000010000000001000040${'00'.repeat(31)}`,
  );
  t.end();
});

void t.test('notifications', (t) => {
  t.equal(incEpoch().toString('hex'), '10000000080000000000000000000000');
  t.equal(
    invalidateAttributes(1).toString('hex'),
    '280000000200000000000000000000000100000000000000ffffffffffffffff0000000000000000',
  );
  t.equal(
    invalidateName(1, 'abc').toString('hex'),
    `240000000300000000000000000000000100000000000000030000000000000061626300`,
  );
  t.end();
});

void t.test('structures that end too early, or say what can not be, are refused', (t) => {
  t.equal(protocol.decodeInit(frameOf('0700000000')), undefined);
  t.equal(protocol.decodeOpen(frameOf('00')), undefined);
  t.equal(protocol.decodeRead(frameOf('00'.repeat(39))), undefined);
  t.equal(
    protocol.decodeRead(frameOf(`${'00'.repeat(8)}ffffffffffffffff${'00'.repeat(24)}`)),
    undefined,
    'an offset above 2^53',
  );
  t.equal(protocol.decodeRelease(frameOf('00'.repeat(23))), undefined);
  t.equal(protocol.decodeListxattr(frameOf('')), undefined);
  t.equal(protocol.decodeInterrupt(frameOf('00')), undefined);
  t.equal(protocol.decodeName(frameOf('')), undefined, 'no name');
  t.equal(protocol.decodeName(frameOf('00')), undefined, 'an empty name');
  t.equal(protocol.decodeName(frameOf('6162')), undefined, 'a name without end');
  t.equal(protocol.decodeGetxattr(frameOf('4000000000000000')), undefined);
  const none = () => t.fail('nothing is to be forgotten');
  t.notOk(protocol.decodeForgets(frameOf('00'), false, none));
  t.notOk(protocol.decodeForgets(frameOf('ffffffff00000000'), true, none), 'a count without nodes');
  t.end();
});

void t.test('extensions at the end of a request do not belong to its name', (t) => {
  const frame = frameOf(`6162${'00'.repeat(8)}`);
  frame.view.setUint16(36, 1, true);
  t.equal(protocol.decodeName(frame), undefined);
  t.end();
});
