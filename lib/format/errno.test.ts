import t from 'tap';
import { errorCode, errorReason } from './errno.js';

t.test('an error has a code, or a reason at least', (t) => {
  const missing = Object.assign(new Error('words'), { code: 'ENOENT' });
  t.equal(errorCode(missing), 'ENOENT');
  t.equal(errorReason(missing), 'ENOENT');
  for (const none of [new Error('words'), Object.assign(new Error('words'), { code: 7 })]) {
    t.equal(errorCode(none), undefined);
    t.equal(errorReason(none), 'words');
  }
  t.equal(errorCode({ code: 'ENOENT' }), undefined, 'no error');
  t.equal(errorReason('words'), 'words');
  t.end();
});
