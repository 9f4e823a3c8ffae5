import { linkSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openTraceEncoder } from './encoder.js';
import { readTraceFile } from './read-trace-file.js';
import type { Access, TraceHeader } from './trace.js';
import { openTraceFile } from './write-trace-file.js';

const header: TraceHeader = {
  startedAt: 1,
  repository: 'sw.example.org',
  rootHash: '',
  source: '',
  isComplete: false,
  cacheLimit: 0,
  writer: 'pinfs',
};

const access: Access = {
  time: 5,
  duration: 1,
  operation: 'read',
  level: 'fetched',
  object: 'ab'.repeat(20),
  plainSize: 10,
  offset: 0,
  length: 10,
  path: '/a',
  pid: 7,
  processName: 'tar',
};

function records(): Uint8Array {
  const encoder = openTraceEncoder();
  encoder.access(access);
  return encoder.take();
}

const notFailed = (reason: unknown): void => {
  throw reason;
};

void t.test('blocks are whole as soon as they are written; an end makes it complete', async (t) => {
  const path = join(t.testdir(), 'a.trace');
  const file = openTraceFile(path, header, notFailed);
  file.add(records(), 1);
  for (let tries = 0; tries < 200 && file.accesses === 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.equal(readTraceFile(path).end, 'cut');
  t.equal(readTraceFile(path).accessCount, 1);
  await file.end();
  t.equal(readTraceFile(path).end, 'complete');
  t.equal(file.bytes, statSync(path).size);
  t.equal(statSync(path).mode & 0o777, 0o600);
  const again = openTraceFile(path, header, notFailed);
  await again.end();
  t.equal(readTraceFile(path).accessCount, 0, 'a trace is begun anew');
});

void t.test('what is no trace, or not surely ours, is left alone', (t) => {
  const directory = t.testdir({ text: 'some text', 'b.trace': '' });
  const path = (name: string): string => join(directory, name);
  symlinkSync(path('text'), path('link'));
  linkSync(path('b.trace'), path('other-name'));
  for (const name of ['text', 'other-name', '.']) {
    t.throws(() => openTraceFile(path(name), header, notFailed), name);
  }
  t.throws(() => openTraceFile(path('text'), header, notFailed), { code: 'USAGE' });
  t.throws(() => openTraceFile(path('link'), header, notFailed));
  t.throws(() => openTraceFile(path('none/x'), header, notFailed), { code: 'ENOENT' });
  t.equal(readFileSync(path('text'), 'utf8'), 'some text');
  writeFileSync(path('empty'), '');
  t.end();
});

void t.test('what waits for a disk has a bound', async (t) => {
  const reasons: unknown[] = [];
  const path = join(t.testdir(), 'slow.trace');
  const file = openTraceFile(path, header, (reason) => reasons.push(reason));
  const large = Buffer.alloc(1024 * 1024);
  for (let count = 0; count < 20; count++) file.add(large, 1);
  t.match(reasons, [/wait for its disk/]);
  await file.end();
  t.equal(reasons.length, 1, 'told once');
});
