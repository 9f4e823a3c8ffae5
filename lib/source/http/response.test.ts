import t from 'tap';
import { judgeResponseHead, type Headers } from './response.js';
import type { Question } from './request.js';

const question: Question = {
  shown: () => 'http://server/file',
  origin: 'http://x',
  path: '/file',
  headers: {},
  limit: 1000,
  range: undefined,
  sink: undefined,
  sentWithin: undefined,
  timing: { headersTimeout: 1, lowSpeedTime: 1, lowSpeedBytes: 1 },
};

function codeOf(headers: Headers): string | undefined {
  const judged = judgeResponseHead(question, 200, headers);
  return 'kind' in judged && judged.kind === 'failed' ? judged.error.code : undefined;
}

void t.test('a length of any number of digits is held against the bound', (t) => {
  for (const [length, code] of [
    ['1000', undefined],
    ['1001', 'OBJECT_TOO_LARGE'],
    ['9'.repeat(15), 'OBJECT_TOO_LARGE'],
    ['1' + '0'.repeat(15), 'OBJECT_TOO_LARGE'],
    ['9'.repeat(400), 'OBJECT_TOO_LARGE'],
    ['0'.repeat(20) + '5', 'OBJECT_TOO_LARGE'],
  ] as const) {
    t.equal(codeOf({ 'content-length': length }), code, length);
  }
  t.end();
});

void t.test('an answer in another coding is an error of its own', (t) => {
  for (const coding of ['gzip', 'x-gzip', 'br', 'GZIP', 'identity, deflate']) {
    t.equal(codeOf({ 'content-encoding': coding }), 'SOURCE_ENCODING', coding);
  }
  t.equal(codeOf({ 'transfer-encoding': 'gzip, chunked' }), 'SOURCE_ENCODING');
  for (const coding of ['', 'identity', 'Identity']) {
    t.equal(codeOf({ 'content-encoding': coding }), undefined, coding);
  }
  t.equal(codeOf({ 'transfer-encoding': 'chunked' }), undefined);
  const judged = judgeResponseHead(question, 200, { 'content-encoding': 'gzip' });
  t.match(judged, { error: { advice: /compresses/ } });
  t.end();
});
