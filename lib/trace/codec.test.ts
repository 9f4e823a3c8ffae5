import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import t from 'tap';
import { PinfsError } from '../format/errors.js';
import { accessesOf } from './accesses.js';
import { encodeBlock, encodeBlockHead } from './blocks.js';
import { openTraceDecoder } from './decoder.js';
import { encodeTrace } from './encode-trace.js';
import { openTraceEncoder } from './encoder.js';
import { encodeTraceHeader } from './header.js';
import { accessOperations, hitLevels, type Access, type Trace, type TraceHeader } from './trace.js';

const header: TraceHeader = {
  startedAt: 1_700_000_000_000,
  repository: 'sw.example.org',
  rootHash: '0'.repeat(40),
  source: 'http://server.example.org/cvmfs/sw.example.org',
  isComplete: true,
  cacheLimit: 4096,
  writer: 'pinfs 0',
};

const hexArbitrary = (digits: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: digits / 2, maxLength: digits / 2 })
    .map((bytes) => Buffer.from(bytes).toString('hex'));

const objectArbitrary = fc.oneof(
  fc
    .tuple(
      hexArbitrary(40),
      fc.constantFrom('', '-rmd160', '-shake128'),
      fc.constantFrom('', 'P', 'C', 'H', 'X', 'M'),
      fc.constantFrom('', '.plain'),
    )
    .map((parts) => parts.join('')),
  hexArbitrary(16).map((digits) => `foreign:${digits}`),
);

const sizeArbitrary = fc.oneof(
  fc.nat(300_000),
  fc.constant(NaN),
  fc.integer({ min: 0, max: 2 ** 50 }),
);

interface MadeTrace {
  readonly accesses: readonly Access[];
  readonly storedSizes: ReadonlyMap<string, number>;
}

/** Few objects that are accessed again and again, as in life. */
const traceArbitrary: fc.Arbitrary<MadeTrace> = fc
  .tuple(
    fc.uniqueArray(objectArbitrary, { minLength: 1, maxLength: 8 }),
    fc.array(sizeArbitrary, { minLength: 8, maxLength: 8 }),
    fc.array(fc.string({ maxLength: 12 }), { minLength: 1, maxLength: 4 }),
    fc.array(
      fc.record({
        delta: fc.oneof(fc.nat(1000), fc.nat(2 ** 40)),
        duration: fc.nat(0xffff_ffff),
        operation: fc.constantFrom(...accessOperations),
        level: fc.constantFrom(...hitLevels),
        object: fc.nat(7),
        path: fc.nat(3),
        offset: fc.oneof(fc.constant(0), fc.nat(300_000), fc.nat(2 ** 45)),
        length: fc.oneof(fc.constant(undefined), fc.nat(0xffff_ffff)),
        pid: fc.constantFrom(0, 1, 4242, 0xffff_ffff),
        processName: fc.constantFrom('', 'tar', 'python3'),
      }),
      { maxLength: 60 },
    ),
  )
  .map(([objects, sizes, paths, rows]) => {
    let time = 0;
    const accesses = rows.map(({ delta, object: at, path, length, ...row }): Access => {
      time += delta;
      const plainSize = sizes[at % objects.length] ?? NaN;
      const rest = Math.max(0, Math.min(0xffff_ffff, plainSize - row.offset));
      return {
        ...row,
        time,
        object: objects[at % objects.length] ?? '',
        plainSize,
        length: length ?? (Number.isNaN(rest) ? 0 : rest),
        path: (paths[path % paths.length] ?? '').replace(/[^\0-\xff]/g, '?'),
      };
    });
    const storedSizes = new Map(
      objects.flatMap((object, index): [string, number][] =>
        index % 2 === 0 ? [[object, index * 100]] : [],
      ),
    );
    return { accesses, storedSizes };
  });

const named: ReadonlySet<string> = new Set(['NOT_A_TRACE', 'TRACE_VERSION', 'TRACE_DAMAGED']);

function encoded({ accesses, storedSizes }: MadeTrace): Buffer {
  return Buffer.concat([...encodeTrace(header, accesses, storedSizes)]);
}

function decode(bytes: Buffer, pieceBytes = bytes.length): Trace {
  const decoder = openTraceDecoder();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    decoder.push(bytes.subarray(at, at + pieceBytes));
  }
  return decoder.finish();
}

t.test('what was noted is read again, in pieces of any size', (t) => {
  fc.assert(
    fc.property(traceArbitrary, fc.integer({ min: 1, max: 200 }), (made, pieceBytes) => {
      const trace = decode(encoded(made), pieceBytes);
      deepStrictEqual([...accessesOf(trace)], made.accesses);
      deepStrictEqual(trace.header, header);
      deepStrictEqual(trace.end, 'complete');
      for (let index = 0; index < trace.objectTable.count; index++) {
        const first = made.accesses[trace.objects.indexOf(index)];
        const stored = made.storedSizes.get(first?.object ?? '') ?? NaN;
        deepStrictEqual(trace.objectTable.storedSizes[index], stored);
      }
    }),
    { numRuns: 150 },
  );
  t.end();
});

t.test('what a kill cut off is whole up to there', (t) => {
  const blockLike = (made: MadeTrace): Buffer[] => [
    encodeTraceHeader(header),
    ...[...encodeTrace(header, made.accesses)].slice(1),
  ];
  fc.assert(
    fc.property(traceArbitrary, fc.nat(), (made, at) => {
      const bytes = Buffer.concat(blockLike(made));
      const head = encodeTraceHeader(header).length;
      const cut = head + (at % (bytes.length - head));
      const trace = decode(bytes.subarray(0, cut));
      deepStrictEqual(trace.end, 'cut');
      deepStrictEqual([...accessesOf(trace)], made.accesses.slice(0, trace.accessCount));
    }),
    { numRuns: 60 },
  );
  t.end();
});

t.test('flipped bytes are told, and never read as another trace', (t) => {
  fc.assert(
    fc.property(traceArbitrary, fc.nat(), fc.integer({ min: 1, max: 255 }), (made, at, flip) => {
      const bytes = encoded(made);
      const place = at % bytes.length;
      bytes[place] = (bytes[place] ?? 0) ^ flip;
      try {
        const trace = decode(bytes);
        // In the header's text, or a length that now reaches behind the end.
        if (trace.end === 'complete') deepStrictEqual([...accessesOf(trace)], made.accesses);
        else deepStrictEqual(trace.accessCount, 0);
      } catch (error) {
        if (!(error instanceof PinfsError)) throw error;
        deepStrictEqual(named.has(error.code), true);
      }
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('bytes that nobody wrote end in an error with a name', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (plain) => {
      const bytes = Buffer.concat([encodeTraceHeader(header), encodeBlock(plain)]);
      try {
        deepStrictEqual(decode(bytes).end, 'cut');
      } catch (error) {
        if (!(error instanceof PinfsError) || error.code !== 'TRACE_DAMAGED') throw error;
      }
    }),
    { numRuns: 500 },
  );
  t.throws(() => decode(Buffer.from('another file')), { code: 'NOT_A_TRACE' });
  t.throws(() => decode(Buffer.from('pinfstrc')), { code: 'TRACE_DAMAGED' });
  const newer = encodeTraceHeader(header);
  newer.writeUInt32LE(2, 8);
  t.throws(() => decode(newer), { code: 'TRACE_VERSION' });
  const large = encodeBlockHead(1, 2 ** 31, 10);
  t.throws(() => decode(Buffer.concat([encodeTraceHeader(header), large])), {
    code: 'TRACE_DAMAGED',
    message: /too large/,
  });
  const bomb = encodeBlock(Buffer.alloc(1024 * 1024));
  bomb.writeUInt32LE(100, 5);
  t.throws(() => decode(Buffer.concat([encodeTraceHeader(header), bomb])), {
    code: 'TRACE_DAMAGED',
    message: /check sum/,
  });
  t.end();
});

t.test('tables begin anew before they outgrow memory, and are one again when read', (t) => {
  const access = (index: number, object: number): Access => ({
    time: index,
    duration: 1,
    operation: 'read',
    level: 'shelf',
    object: `foreign:${object.toString(16).padStart(16, '0')}`,
    plainSize: 1000,
    offset: 0,
    length: 1000,
    path: 'same',
    pid: 7,
    processName: 'tar',
  });
  const many = 100;
  const encoder = openTraceEncoder(20);
  for (let index = 0; index < many; index++) encoder.access(access(index, index));
  encoder.access(access(many, 3));
  const decoder = openTraceDecoder();
  decoder.push(encodeTraceHeader(header));
  decoder.push(encodeBlock(encoder.take()));
  const trace = decoder.finish();
  t.equal(trace.accessCount, many + 1);
  t.equal(trace.objectTable.count, many);
  t.equal(trace.objects[many], 3);
  t.equal(trace.paths.length, 2);
  t.equal(trace.processes.length, 2);
  t.end();
});

t.test('an access takes few bytes', (t) => {
  function* accesses(): Generator<Access> {
    for (let index = 0; index < 20_000; index++) {
      yield {
        time: index * 120,
        duration: 30 + (index % 90),
        operation: 'read',
        level: 'shelf',
        object: `${(index * 2_654_435_761).toString(16).padStart(20, '7')}${(index * 40_503).toString(16).padStart(20, '3')}`,
        plainSize: (index * 7919) % 40_000,
        offset: 0,
        length: (index * 7919) % 40_000,
        path: `software/lib/python3/site-packages/package${index % 40}/module${index}.py`,
        pid: 99,
        processName: 'tar',
      };
    }
  }
  const bytes = [...encodeTrace(header, accesses())].reduce((sum, piece) => sum + piece.length, 0);
  t.ok(bytes / 20_000 < 40, `${bytes / 20_000} bytes an access`);
  t.end();
});
