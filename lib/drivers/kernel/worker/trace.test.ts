import { existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  bodyOf,
  opcodes,
  requestBytes,
  type FakeRequest,
} from '../../../testing/fakes/fake-kernel.js';
import { makeFrame } from '../protocol/protocol.js';
import { openTrace, traceLine } from './trace.js';

function frameOf(request: FakeRequest) {
  const bytes = requestBytes(request);
  const frame = makeFrame(bytes.length);
  bytes.copy(frame.bytes);
  frame.length = bytes.length;
  return frame;
}

void t.test('a line says what was asked and what came of it', (t) => {
  const lookup = frameOf({ opcode: opcodes.LOOKUP, unique: 8, body: bodyOf.name('a"b\n') });
  t.equal(
    traceLine(lookup, 128, 16.4),
    'LOOKUP unique=8 node=000000001 pid=4321 name="a\\x22b\\n" = 128 16us',
  );
  const read = frameOf({
    opcode: opcodes.READ,
    unique: 10,
    node: 2 ** 33 + 5,
    body: bodyOf.read(4096, 100),
  });
  t.equal(
    traceLine(read, -5, 3),
    'READ unique=10 node=200000005 pid=4321 offset=4096 size=100 = -5 3us',
  );
  const xattr = frameOf({
    opcode: opcodes.GETXATTR,
    unique: 12,
    body: bodyOf.getxattr(0, 'user.x'),
  });
  t.match(traceLine(xattr, -61, 3), / name="user\.x" = -61 /);
  t.match(traceLine(frameOf({ opcode: 99, unique: 2 }), -38, 1), /^UNKNOWN\(99\) unique=2 /);
  t.match(
    traceLine(frameOf({ opcode: opcodes.READ, unique: 2 }), -22, 1),
    /pid=4321 = -22/,
    'a cut one',
  );
  t.end();
});

const noError = (error: Error): never => {
  throw error;
};

void t.test('on a full disk it ends, is told once, and nothing else happens', (t) => {
  const errors: string[] = [];
  const trace = openTrace('/dev/full', ({ code, message }) => errors.push(`${code} ${message}`));
  const frame = frameOf({ opcode: opcodes.STATFS, unique: 2 });
  for (let count = 0; count < 3; count += 1) {
    trace.line(frame, 80, 1);
    trace.flush();
  }
  trace.close();
  t.match(errors, [/^OUTPUT_FAILED the trace \/dev\/full ends here: ENOSPC/]);
  t.equal(errors.length, 1);
  t.end();
});

void t.test('lines reach the file when the mount is idle, and at the end', (t) => {
  const path = join(t.testdir({}), 'trace');
  const trace = openTrace(path, noError);
  const frame = frameOf({ opcode: opcodes.STATFS, unique: 2 });
  trace.line(frame, 80, 1);
  t.equal(readFileSync(path, 'utf8'), '', 'not before');
  trace.flush();
  t.match(readFileSync(path, 'utf8'), /^STATFS [^\n]*\n$/);
  for (let count = 0; count < 2000; count += 1) trace.line(frame, 80, 1);
  t.ok(readFileSync(path, 'utf8').length > 60_000, 'and in pieces while it is busy');
  trace.close();
  t.equal(readFileSync(path, 'utf8').split('\n').length, 2002);
  t.end();
});

void t.test('it stays within its bound', (t) => {
  const path = join(t.testdir({}), 'trace');
  const trace = openTrace(path, noError, 1000);
  const frame = frameOf({ opcode: opcodes.STATFS, unique: 2 });
  for (let count = 0; count < 100; count += 1) {
    trace.line(frame, 80, 1);
    trace.flush();
  }
  for (const name of [path, `${path}.1`]) t.ok(statSync(name).size <= 1000, name);
  trace.close();
  t.end();
});

void t.test('it is begun anew when asked to', (t) => {
  const path = join(t.testdir({}), 'trace');
  const trace = openTrace(path, noError);
  const frame = frameOf({ opcode: opcodes.STATFS, unique: 2 });
  renameSync(path, `${path}.old`);
  trace.line(frame, 81, 1);
  trace.reopen();
  trace.line(frame, 82, 1);
  t.notOk(readFileSync(`${path}.old`, 'utf8').includes('= 82'));
  t.ok(existsSync(path), 'before the next line');
  trace.close();
  t.match(readFileSync(`${path}.old`, 'utf8'), /= 81 /);
  t.match(readFileSync(path, 'utf8'), /^STATFS [^\n]* = 82 [^\n]*\n$/);
  t.end();
});
