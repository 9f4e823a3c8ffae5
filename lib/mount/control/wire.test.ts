import { PassThrough } from 'node:stream';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { answerValue, failedAnswer, readLine } from './wire.js';

const limits = { bytes: 100, milliseconds: 5000 };

void t.test('a line may come in pieces, and what stands behind it is dropped', async (t) => {
  const stream = new PassThrough();
  const line = readLine(stream, limits);
  stream.write('{"a"');
  stream.write(':1}\nrest');
  t.same(await line, { kind: 'line', text: '{"a":1}' });
});

void t.test('a line that is cut off is no line', async (t) => {
  const stream = new PassThrough();
  const line = readLine(stream, limits);
  stream.end('{"a":1}');
  t.same(await line, { kind: 'closed' });
});

void t.test('a line beyond the limit is refused without waiting for its end', async (t) => {
  const stream = new PassThrough();
  const line = readLine(stream, limits);
  stream.write('x'.repeat(101));
  t.same(await line, { kind: 'too-long' });
});

void t.test('a line that never ends is given up', async (t) => {
  const stream = new PassThrough();
  stream.write('x');
  t.same(await readLine(stream, { bytes: 100, milliseconds: 1 }), { kind: 'timeout' });
});

void t.test('a broken stream is a closed one', async (t) => {
  const stream = new PassThrough();
  const line = readLine(stream, limits);
  stream.destroy(new Error('reset'));
  t.same(await line, { kind: 'closed' });
});

void t.test('an error of the other process arrives whole', (t) => {
  const error = new PinfsError('MOUNT_BUSY', 'in use', { advice: 'wait' });
  t.throws(() => answerValue(JSON.stringify(failedAnswer(error))), {
    code: 'MOUNT_BUSY',
    message: 'in use',
    advice: 'wait',
  });
  t.end();
});

void t.test('an answer that is none, or of another version, is an error of ours', (t) => {
  for (const text of ['', 'null', '[]', '{}', '{"ok":1}', '{"ok":false,"code":"NEWER"}']) {
    t.throws(() => answerValue(text), { code: 'INTERNAL' }, text);
  }
  t.equal(answerValue('{"ok":true,"value":3}'), 3);
  t.end();
});
