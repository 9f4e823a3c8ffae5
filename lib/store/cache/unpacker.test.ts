import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import t from 'tap';
import { wantFor } from '../../testing/fakes/memory-source.js';
import { Unpacker } from './unpacker.js';

const plain = Buffer.alloc(3_000_000, randomBytes(1000));
const stored = deflateSync(plain);
const want = wantFor(stored, { kind: 'exact', bytes: plain.length });

void t.test('large objects are unpacked in another thread, small ones are not', async (t) => {
  const unpacker = new Unpacker();
  const directory = t.testdir();
  const small = deflateSync(Buffer.from('small'));
  const file = join(directory, 'small');
  await unpacker.prepare(small, wantFor(small, { kind: 'exact', bytes: 5 }), file);
  t.equal(readFileSync(file, 'latin1'), 'small');
  t.same(unpacker.workers, []);

  const large = join(directory, 'large');
  const result = await unpacker.prepare(stored, want, large);
  t.equal(unpacker.workers.length, 1);
  t.same(result, { size: plain.length, sha256: createHash('sha256').update(plain).digest() });
  t.ok(readFileSync(large).equals(plain));
  t.equal(stored.length, deflateSync(plain).length, 'the buffer of the caller is still there');
  await unpacker.close();
});

void t.test('errors of the thread are those that would be thrown here', async (t) => {
  const unpacker = new Unpacker();
  const directory = t.testdir();
  const file = join(directory, 'x');
  const wrong = { ...want, size: { kind: 'exact', bytes: plain.length - 1 } } as const;
  await t.rejects(unpacker.prepare(stored, wrong, file), { code: 'OBJECT_SIZE_MISMATCH' });
  const bad = Buffer.from(stored);
  bad.writeUInt8(bad.readUInt8(9) ^ 1, 9);
  await t.rejects(unpacker.prepare(bad, want, file), { code: 'OBJECT_HASH_MISMATCH' });
  t.notOk(existsSync(file));
  await unpacker.prepare(stored, want, file);
  await t.rejects(unpacker.prepare(stored, want, file), { code: 'EEXIST' });
  await unpacker.close();
});

void t.test('as many threads as there may be, one object each', async (t) => {
  const unpacker = new Unpacker(3);
  const directory = t.testdir();
  const work = Array.from({ length: 5 }, (_, number) =>
    unpacker.prepare(stored, want, join(directory, String(number))),
  );
  t.equal(unpacker.workers.length, 3);
  await Promise.all(work);
  t.equal(unpacker.workers.length, 3);
  await unpacker.prepare(stored, want, join(directory, 'another'));
  t.equal(unpacker.workers.length, 3, 'one that is free is taken');
  await unpacker.close();
  t.same(unpacker.workers, []);
});

void t.test('a thread that dies is replaced, and the work is done', async (t) => {
  const unpacker = new Unpacker(1);
  const directory = t.testdir();
  await unpacker.prepare(stored, want, join(directory, 'first'));
  const first = unpacker.workers[0];
  const work = [1, 2, 3].map((number) =>
    unpacker.prepare(stored, want, join(directory, String(number))),
  );
  await first?.terminate();
  await Promise.all(work);
  t.not(unpacker.workers[0], first);
  for (const number of [1, 2, 3]) {
    t.ok(readFileSync(join(directory, String(number))).equals(plain));
  }
  // A message that it can't read kills the second thread before it comes to the work, and the
  // third is ended as it begins.
  const second = unpacker.workers[0];
  second?.postMessage(null);
  const again = unpacker.prepare(stored, want, join(directory, 'again'));
  const rejected = t.rejects(again, { code: 'INTERNAL' });
  second?.on('exit', () => void unpacker.workers[0]?.terminate());
  await rejected;
  await unpacker.close();
});

void t.test('closing ends what is waited for', async (t) => {
  const unpacker = new Unpacker();
  const work = unpacker.prepare(stored, want, join(t.testdir(), 'x'));
  await Promise.all([t.rejects(work, { code: 'INTERRUPTED' }), unpacker.close()]);
});
