import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { encodeTrace } from '../trace/encode-trace.js';
import { openTraceDecoder } from '../trace/decoder.js';
import type { Access } from '../trace/trace.js';
import { diffProfiles, mergeProfiles } from './combine.js';
import { decodeProfile } from './decode-profile.js';
import { encodeProfile } from './encode-profile.js';
import { makeProfile } from './make-profile.js';
import { readProfileFile, writeProfileFile } from './profile-file.js';
import type { FirstUse, Profile } from './profile.js';

const header = {
  repository: 'sw.example.org',
  rootHash: 'ab'.repeat(20),
  made: '2026-11-29T12:00:00.000Z',
  writer: 'pinfs 0.2.0',
};

const facts = { made: header.made, writer: header.writer };

function use(path: string, more: Partial<FirstUse> = {}): FirstUse {
  return { path, kind: 'file', chunk: 0, gapMs: 1, fingerprint: '0011223344556677', ...more };
}

const name = fc
  .uint8Array({ minLength: 1, maxLength: 12 })
  .map((bytes) => Buffer.from(bytes).toString('latin1').replace(/[/\0]/g, '_'))
  .filter((text) => text !== '.' && text !== '..');
const uses = fc.array(
  fc.record(
    {
      path: fc.oneof(
        fc.constant(''),
        fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join('/')}`),
      ),
      kind: fc.constantFrom('file' as const, 'catalog' as const),
      chunk: fc.nat(9),
      gapMs: fc.nat(1_000_000),
      fingerprint: fc
        .uint8Array({ minLength: 8, maxLength: 8 })
        .map((bytes) => Buffer.from(bytes).toString('hex')),
    },
    { noNullPrototype: true },
  ),
  { maxLength: 40 },
);

t.test('a profile is read as it was written', (t) => {
  fc.assert(
    fc.property(uses, (uses) => {
      // A catalog has no chunks.
      const kept = uses.map((one) => (one.kind === 'catalog' ? { ...one, chunk: 0 } : one));
      const profile: Profile = { header, uses: kept };
      t.strictSame(decodeProfile(encodeProfile(profile)), profile);
    }),
    { numRuns: 100 },
  );
  t.end();
});

t.test('an object takes less than 30 bytes', (t) => {
  const many = Array.from({ length: 3000 }, (_, index) => {
    const turn = (index * 1699) % 3000;
    return use(`/software/package-${turn % 40}/lib/python/module_${turn}.py`, {
      fingerprint: Buffer.from(
        Uint8Array.from({ length: 8 }, (_, at) => (turn * (at + 7) * 31) % 251),
      ).toString('hex'),
      gapMs: turn % 30,
    });
  });
  const { length } = encodeProfile({ header, uses: many });
  t.ok(length / 3000 < 30, `${(length / 3000).toFixed(1)} bytes`);
  t.end();
});

function refused(t: Test, bytes: Buffer, what: RegExp): void {
  t.throws(() => decodeProfile(bytes), { code: 'PROFILE_MALFORMED', message: what });
}

/** The bytes of a file whose body is given. */
function fileOf(body: Buffer, length = body.length): Buffer {
  const head = Buffer.alloc(16);
  head.write('pinfs\0pf', 'latin1');
  head.writeUInt32LE(1, 8);
  head.writeUInt32LE(length, 12);
  return Buffer.concat([head, deflateSync(body)]);
}

function bodyOf(rest: readonly number[]): Buffer {
  const text = Buffer.from(JSON.stringify(header));
  return Buffer.concat([
    Buffer.from([(text.length % 128) | 128, text.length >> 7]),
    text,
    Buffer.from(rest),
  ]);
}

t.test('what a stranger wrote is refused by name', (t) => {
  const whole = encodeProfile({ header, uses: [use('/a/b'), use('/a/c')] });
  refused(t, Buffer.alloc(0), /begin/);
  refused(t, Buffer.from('#!/bin/sh\nexit 0 # and more'), /begin/);
  refused(t, whole.subarray(0, whole.length - 2), /cut/);
  const other = Buffer.from(whole);
  other.writeUInt32LE(9, 8);
  refused(t, other, /version 9/);
  refused(t, fileOf(Buffer.alloc(100), 2 ** 31), /too large/);
  refused(t, fileOf(Buffer.alloc(1000), 10), /cut/);
  refused(t, fileOf(bodyOf([255, 255, 255, 255, 127, 1])), /above its bound/);
  refused(t, fileOf(bodyOf([1, 1, 0, 2, 47, 46, 0, 0, 1, 97, 0, 0])), /path in it is none/);
  const [root, one] = [
    [1, 1, 0, 0],
    [0, 0],
  ];
  refused(t, fileOf(bodyOf([...root, ...one, 2, 46, 46, 0, 0])), /name in it is none/);
  refused(t, fileOf(bodyOf([...root, ...one, 3, 97, 47, 98, 0, 0])), /name in it is none/);
  refused(t, fileOf(bodyOf([...root, 0, 9, 1, 97, 0, 0])), /name in it is none/);
  refused(t, fileOf(Buffer.concat([bodyOf([0, 0]), Buffer.alloc(9)])), /follows its end/);
  t.end();
});

t.test('whatever becomes of its bytes, it is read or refused by name', (t) => {
  const whole = encodeProfile({ header, uses: [use('/a/b'), use('/a/cc', { chunk: 3 }), use('')] });
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Buffer.from(whole);
      bytes[at] = byte;
      try {
        decodeProfile(bytes);
      } catch (thrown) {
        return (thrown as { code?: string }).code === 'PROFILE_MALFORMED';
      }
      return true;
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (rest) => {
      try {
        decodeProfile(fileOf(bodyOf([...rest])));
      } catch (thrown) {
        return (thrown as { code?: string }).code === 'PROFILE_MALFORMED';
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('a file is replaced whole', (t) => {
  const directory = t.testdir();
  const file = join(directory, 'job.profile');
  writeFileSync(file, 'old');
  const profile: Profile = { header, uses: [use('/a')] };
  t.ok(writeProfileFile(file, profile) > 0);
  t.strictSame(readProfileFile(file), profile);
  t.same(readdirSync(directory), ['job.profile']);
  t.throws(() => readProfileFile(join(directory, 'none')), { code: 'NOT_FOUND' });
  mkdirSync(join(directory, 'folder'));
  t.throws(() => readProfileFile(join(directory, 'folder')), { code: 'NOT_FOUND' });
  t.throws(() => writeProfileFile(join(directory, 'none', 'x'), profile), {
    code: 'OUTPUT_FAILED',
  });
  t.end();
});

const hash = (digit: string): string => digit.repeat(40);

function access(
  time: number,
  object: string,
  path: string,
  operation: Access['operation'],
): Access {
  return {
    ...{ time, duration: 1, operation, level: 'fetched', object, plainSize: 10, offset: 0 },
    ...{ length: 10, path, pid: 1, processName: 'job' },
  };
}

t.test('a profile of a trace has each object once, where it was first read', (t) => {
  const decoder = openTraceDecoder('all');
  decoder.push(
    Buffer.concat([
      ...encodeTrace(
        {
          startedAt: 0,
          repository: 'sw.example.org',
          rootHash: hash('0'),
          source: 's',
          isComplete: true,
          cacheLimit: 0,
          writer: 'w',
        },
        [
          access(1000, `${hash('0')}C`, '', 'catalog'),
          access(2000, hash('1'), '/a', 'open'),
          access(5000, hash('2'), '/b', 'read'),
          access(9000, hash('1'), '/a', 'read'),
          access(9500, hash('2'), '/b', 'read'),
          access(12_000, `${hash('3')}P`, '/big', 'read'),
          access(12_000, `${hash('4')}P`, '/big', 'read'),
          access(13_000, `${hash('5')}C`, '/nested', 'catalog'),
          access(14_000, 'foreign:0000000000000007', '', 'read'),
        ],
      ),
    ]),
  );
  const made = makeProfile(decoder.finish(), facts);
  t.same(made.header, { ...header, rootHash: hash('0') });
  const short = (digit: string) => ({ fingerprint: digit.repeat(16) });
  t.strictSame(made.uses, [
    use('', { kind: 'catalog', ...short('0') }),
    use('/b', { gapMs: 4, ...short('2') }),
    use('/a', { gapMs: 4, ...short('1') }),
    use('/big', { chunk: 1, gapMs: 3, ...short('3') }),
    use('/big', { chunk: 2, gapMs: 0, ...short('4') }),
    use('/nested', { kind: 'catalog', gapMs: 1, ...short('5') }),
  ]);
  t.end();
});

t.test('merged: what any reads, at the mean of its times', (t) => {
  const first: Profile = { header, uses: [use('/a', { gapMs: 10 }), use('/b', { gapMs: 10 })] };
  const second: Profile = { header, uses: [use('/c', { gapMs: 12 }), use('/a', { gapMs: 20 })] };
  const { uses } = mergeProfiles([first, second], facts);
  t.same(
    uses.map(({ path, gapMs }) => [path, gapMs]),
    [
      ['/c', 12],
      ['/b', 8],
      ['/a', 1],
    ],
  );
  const foreign: Profile = { header: { ...header, repository: 'other.example.org' }, uses: [] };
  t.throws(() => mergeProfiles([first, foreign], facts), { code: 'USAGE' });
  t.end();
});

t.test('what two have alone, what changed, and how alike the order is', (t) => {
  const of = (paths: string[], fingerprint = '00'.repeat(8)): Profile => ({
    header,
    uses: paths.map((path) => use(path, path === '/b' ? { fingerprint } : {})),
  });
  const found = diffProfiles(
    of(['/a', '/b', '/c', '/d']),
    of(['/c', '/a', '/b', '/e'], '11'.repeat(8)),
  );
  t.match(found, {
    onlyFirst: [{ path: '/d' }],
    onlySecond: [{ path: '/e' }],
    changed: [{ path: '/b' }],
    same: 2,
    sameOrder: 0.5,
  });
  t.end();
});
