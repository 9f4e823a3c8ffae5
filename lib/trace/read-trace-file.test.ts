import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { encodeTrace } from './encode-trace.js';
import { readTraceFile } from './read-trace-file.js';
import type { Access, TraceHeader } from './trace.js';

const header: TraceHeader = {
  startedAt: 5,
  repository: 'sw.example.org',
  rootHash: '',
  source: '',
  isComplete: false,
  cacheLimit: 0,
  writer: 'pinfs',
};

function* accesses(count: number): Generator<Access> {
  for (let index = 0; index < count; index++) {
    yield {
      time: index,
      duration: 1,
      operation: 'read',
      level: 'shelf',
      object: `foreign:${(index * 2_654_435_761).toString(16).padStart(16, '0')}`,
      plainSize: 10,
      offset: 0,
      length: 10,
      path: `${index * 7919}`,
      pid: 7,
      processName: 'tar',
    };
  }
}

t.test('a file is read in pieces, with its progress', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-trace-'));
  t.teardown(() => {
    rmSync(directory, { recursive: true });
  });
  const path = join(directory, 'some.trace');
  const count = 60_000;
  writeFileSync(path, Buffer.concat([...encodeTrace(header, accesses(count))]));
  const seen: number[] = [];
  const progress = (done: number, total: number): void => {
    seen.push(done / total);
  };
  const trace = readTraceFile(path, { progress });
  t.equal(trace.accessCount, count);
  t.equal(trace.pathNumbers.length, count);
  t.equal(seen.at(-1), 1);
  const requests = readTraceFile(path, { columns: 'requests' });
  t.same(requests.objects, trace.objects);
  t.same(requests.times, trace.times);
  t.equal(requests.pathNumbers.length, 0);
  t.throws(() => readTraceFile(directory), { message: /no regular file/ });
  t.end();
});
