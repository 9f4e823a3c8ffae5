import { deepStrictEqual } from 'node:assert';
import fc from 'fast-check';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { accessesOf } from '../accesses.js';
import { openTraceDecoder } from '../decoder.js';
import { encodeTrace } from '../encode-trace.js';
import type { Access, Trace } from '../trace.js';
import { exportedTrace, importedTrace } from './convert.js';
import { foreignFormats, type ForeignFormat } from './formats.js';

function decode(pieces: Iterable<Buffer>): Trace {
  const decoder = openTraceDecoder();
  for (const piece of pieces) decoder.push(piece);
  return decoder.finish();
}

const imported = (bytes: Buffer, format: ForeignFormat): Trace =>
  decode(importedTrace(bytes, format, 'file', 'pinfs'));
const exported = (trace: Trace, format: ForeignFormat): Buffer =>
  Buffer.concat([...exportedTrace(trace, format)]);

t.test('oracleGeneral as libCacheSim writes it', (t) => {
  const bytes = Buffer.from(
    [
      '05000000' + '0700000000000000' + '00100000' + '0300000000000000',
      '06000000' + 'ffffffffffffffff' + '0a000000' + 'ffffffffffffffff',
      '08000000' + '0700000000000000' + '00100000' + 'ffffffffffffffff',
    ].join(''),
    'hex',
  );
  const trace = imported(bytes, 'oracle-general');
  t.same([...trace.times], [0, 1e6, 3e6]);
  t.same([...trace.objects], [0, 1, 0]);
  t.same([...trace.objectTable.plainSizes], [4096, 10]);
  const again = exported(trace, 'oracle-general');
  // Time begins at 0.
  for (const at of [0, 24, 48]) bytes.writeUInt32LE(bytes.readUInt32LE(at) - 5, at);
  t.same(again.toString('hex'), bytes.toString('hex'));
  t.throws(() => imported(bytes.subarray(1), 'oracle-general'), { code: 'NOT_A_TRACE' });
  t.end();
});

t.test('CSV with and without a header', (t) => {
  const plain = imported(Buffer.from('10,7,100\n11,some/key,5\n13.5,7,100\n'), 'libcachesim-csv');
  t.same([...plain.times], [0, 1e6, 3.5e6]);
  t.same([...plain.objects], [0, 1, 0]);
  const named = 'size, object, timestamp\r\n100,7,10\r\n';
  const trace = imported(Buffer.from(named), 'libcachesim-csv');
  t.same([...trace.objectTable.plainSizes], [100]);
  t.equal(exported(trace, 'libcachesim-csv').toString(), 'time,obj_id,obj_size\n0,7,100\n');
  for (const bad of ['1,2,x\n', '1,2\n', '-1,2,3\n', `1,2,${'3'.repeat(70_000)}\n`]) {
    t.throws(() => imported(Buffer.from(bad), 'libcachesim-csv'), { code: 'NOT_A_TRACE' });
  }
  t.end();
});

t.test('the tracer of the reference', (t) => {
  const text = [
    '"1700000000123.456","-1","Tracer","Trace buffer created"',
    '"1700000000124.000","4","/a","lookup()"',
    '"1700000000125.001","1","/a ""b""","open()"',
    '"1700000000126.000","1","/c","open()"',
    '"1700000000127.000","-2","Tracer","Destroying trace buffer..."',
  ].join('\r\n');
  const trace = imported(Buffer.from(`${text}\r\n`), 'cvmfs-tracer');
  t.equal(trace.header.startedAt, 1_700_000_000_123);
  t.same([...trace.times], [1545, 2544]);
  t.same(trace.paths, ['', '/a "b"', '/c']);
  const lines = exported(trace, 'cvmfs-tracer').toString().split('\r\n');
  t.match(lines[1], /^"\d+\.545","1","\/a ""b""","open\(\)"$/);
  t.equal(lines.length, 5);
  t.throws(() => imported(Buffer.from('"1","2"\n'), 'cvmfs-tracer'), { code: 'NOT_A_TRACE' });
  t.end();
});

t.test('what goes out comes in again; what nobody wrote has a name', (t) => {
  const accessArbitrary = fc.record({ object: fc.nat(5), delta: fc.nat(3), size: fc.nat(9) });
  fc.assert(
    fc.property(fc.array(accessArbitrary, { maxLength: 30 }), (rows) => {
      let time = 0;
      const sizes = new Map<number, number>();
      const accesses = rows.map(({ object, delta, size }, index): Access => {
        time += index === 0 ? 0 : delta * 1e6;
        const plainSize = sizes.get(object) ?? size + 1;
        sizes.set(object, plainSize);
        return {
          time,
          duration: 0,
          operation: 'read',
          level: 'none',
          object: `foreign:000000000000000${object}`,
          plainSize,
          offset: 0,
          length: plainSize,
          path: '',
          pid: 0,
          processName: '',
        };
      });
      const nothing = { startedAt: 0, repository: '', rootHash: '', source: '', writer: '' };
      const trace = decode(encodeTrace({ ...nothing, isComplete: false, cacheLimit: 0 }, accesses));
      const formats: ForeignFormat[] = ['libcachesim-csv', 'oracle-general'];
      for (const format of rows.length === 0 ? [] : formats) {
        deepStrictEqual([...accessesOf(imported(exported(trace, format), format))], accesses);
      }
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.constantFrom(...foreignFormats),
      (bytes, format) => {
        try {
          imported(Buffer.from(bytes), format);
        } catch (error) {
          if (!(error instanceof PinfsError) || error.code !== 'NOT_A_TRACE') throw error;
        }
      },
    ),
    { numRuns: 200 },
  );
  t.end();
});
