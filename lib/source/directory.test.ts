import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { toBytes } from '../format/bytes.js';
import { conforms, rejectsWith } from '../testing/suites/source-conformance.js';
import { directorySource } from './directory.js';

function write(directory: string, files: ReadonlyMap<string, Buffer>): void {
  for (const [path, bytes] of files) {
    const full = Buffer.concat([Buffer.from(`${directory}/`), toBytes(path)]);
    mkdirSync(full.subarray(0, full.lastIndexOf('/')), { recursive: true });
    writeFileSync(full, bytes);
  }
}

function withFile(t: Test): string {
  const directory = t.testdir();
  write(directory, new Map([['inside/file', Buffer.from('inside')]]));
  return `${directory}/inside`;
}

void t.test('a directory is a source', (t) => {
  conforms(t, (t, files) => {
    const directory = t.testdir();
    write(directory, files);
    const source = directorySource(directory);
    t.teardown(() => source.close());
    t.equal(source.label, directory);
    return Promise.resolve(source);
  });
  t.end();
});

void t.test('links are followed, also to another disk', async (t) => {
  const inside = withFile(t);
  writeFileSync(`${inside}/../outside`, 'outside');
  symlinkSync('file', `${inside}/link`);
  symlinkSync('.', `${inside}/here`);
  symlinkSync('../outside', `${inside}/out`);
  symlinkSync('/etc', `${inside}/etc`);
  symlinkSync('../inside-too', `${inside}/beside`);
  symlinkSync('loop', `${inside}/loop`);
  mkdirSync(`${inside}/../inside-too`);
  writeFileSync(`${inside}/../inside-too/file`, 'beside');
  execFileSync('mkfifo', [`${inside}/../fifo`]);
  symlinkSync('../fifo', `${inside}/to-fifo`);
  symlinkSync('/dev/null', `${inside}/to-device`);
  symlinkSync(`${inside}/../disk`, `${inside}/data`);
  const source = directorySource(inside);
  t.equal((await source.get('link', 10)).toString(), 'inside');
  t.equal((await source.get('here/file', 10)).toString(), 'inside');
  t.equal((await source.get('out', 10)).toString(), 'outside');
  t.equal((await source.get('beside/file', 10)).toString(), 'beside');
  for (const path of ['etc', 'loop', 'to-fifo', 'to-device', '../outside', 'here/../../outside']) {
    await rejectsWith(t, source.get(path, 10_000), 'OBJECT_MISSING', path);
  }
  await rejectsWith(t, source.get('out', 3), 'OBJECT_TOO_LARGE', 'and no more than was expected');
  const gone = source.get('data/ab/cdef', 10);
  await t.rejects(gone, { code: 'SOURCE_UNREACHABLE', message: /data leads to .*disk, which is/ });
  mkdirSync(`${inside}/../disk/ab`, { recursive: true });
  await rejectsWith(t, source.get('data/ab/cdef', 10), 'OBJECT_MISSING', 'the disk is there');
  writeFileSync(`${inside}/../disk/ab/cdef`, 'object');
  t.equal((await source.get('data/ab/cdef', 10)).toString(), 'object');
});

void t.test('the source itself may be a link', async (t) => {
  const inside = withFile(t);
  symlinkSync(inside, `${inside}/../link`);
  t.equal((await directorySource(`${inside}/../link`).get('file', 10)).toString(), 'inside');
});

void t.test('what is no file is not read', async (t) => {
  const inside = withFile(t);
  execFileSync('mkfifo', [`${inside}/fifo`]);
  const source = directorySource(inside);
  await rejectsWith(t, source.get('fifo', 10), 'OBJECT_MISSING', 'and nobody waits for a fifo');
  mkdirSync(`${inside}/directory`);
  await rejectsWith(t, source.get('directory', 10), 'OBJECT_MISSING');
  const place = mkdtempSync(join(tmpdir(), 'pinfs-socket-'));
  t.teardown(() => rmSync(place, { recursive: true }));
  const server = createServer().listen(join(place, 'socket'));
  await once(server, 'listening');
  const beside = directorySource(place);
  await rejectsWith(t, beside.get('socket', 10), 'OBJECT_MISSING', 'nor is a socket opened');
  server.close();
});

void t.test('a file is bounded by what it claims and by what it has', async (t) => {
  const inside = withFile(t);
  const source = directorySource(inside);
  truncateSync(`${inside}/file`, 2 ** 40);
  await rejectsWith(t, source.get('file', 1000), 'OBJECT_TOO_LARGE');
  // Files of /proc say that they are empty.
  const status = await directorySource('/proc/self').get('status', 100_000);
  t.equal(
    status.length,
    1,
    'no more than it said is read (and one byte to see that there is more)',
  );
});

void t.test('no directory, no source', async (t) => {
  const inside = withFile(t);
  const unreachable = { name: 'PinfsError', code: 'SOURCE_UNREACHABLE' };
  t.throws(() => directorySource(`${inside}/nothing`), unreachable);
  t.throws(() => directorySource(`${inside}/file`), unreachable);
  const source = directorySource(inside);
  rmSync(inside, { recursive: true });
  await rejectsWith(t, source.get('file', 10), 'SOURCE_UNREACHABLE', 'it may go away later');
  t.equal(source.traffic.failures, 1);
});

void t.test('what can not be read is said to be so', async (t) => {
  // Reading one's own memory at 0 gives EIO, for root as well.
  const source = directorySource('/proc/self');
  const reading = source.get('mem', 10, { range: { offset: 0, length: 1 } });
  await rejectsWith(t, reading, 'SOURCE_UNREACHABLE');
});
