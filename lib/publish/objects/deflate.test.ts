import { createHash } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { isStock, libzDeflater, pakoDeflater, stockDeflater, type Deflater } from './deflate.js';

function deflated(deflater: Deflater, pieces: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  // What is handed over is good until the next.
  deflater.deflate(pieces, (packed) => void parts.push(Buffer.from(packed)));
  return Buffer.concat(parts);
}

/** Text in which much comes again, and noise. */
const contents = fc
  .array(
    fc.oneof(
      fc.string({ maxLength: 40 }).map((text) => Buffer.from(text.repeat(20))),
      fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
      fc.nat(90_000).map((length) => Buffer.alloc(length, 'a long run, ')),
    ),
    { maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));

t.test('libz and pako make the same stream, in whatever pieces it comes', (t) => {
  const libz = libzDeflater();
  if (libz === undefined) {
    t.equal(stockDeflater().name, 'pako');
    t.end();
    return;
  }
  t.equal(stockDeflater().name, 'libz');
  fc.assert(
    fc.property(contents, fc.integer({ min: 1, max: 50_000 }), (content, size) => {
      const pieces: Buffer[] = [];
      for (let at = 0; at < content.length; at += size)
        pieces.push(content.subarray(at, at + size));
      const one = deflated(libz, [content]);
      return (
        one.equals(deflated(libz, pieces)) &&
        one.equals(deflated(pakoDeflater, pieces)) &&
        inflateSync(one).equals(content)
      );
    }),
    { numRuns: 40 },
  );
  t.end();
});

t.test('a stream that breaks off leaves nothing for the next', (t) => {
  for (const deflater of [pakoDeflater, stockDeflater()]) {
    const broken = function* (): Generator<Buffer> {
      yield Buffer.alloc(100_000, 'abc');
      throw new Error('no more');
    };
    t.throws(() => deflater.deflate(broken(), () => undefined), { message: 'no more' });
    const packed = deflated(deflater, [Buffer.from('foo\n')]);
    t.equal(packed.toString('hex'), '789c4bcbcfe7020003d1014f');
    t.equal(
      createHash('sha1').update(packed).digest('hex'),
      'd85ab7e835750785b0535d4fbba7d59e921b1f48',
    );
  }
  t.end();
});

t.test('another deflate is told from the stock one', (t) => {
  t.ok(isStock(pakoDeflater));
  t.notOk(
    isStock({
      name: 'libz',
      deflate(pieces, take) {
        take(deflateSync(Buffer.concat([...pieces])));
      },
    }),
  );
  t.end();
});
