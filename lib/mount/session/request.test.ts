import t from 'tap';
import { aheadBytesMaxOf } from './request.js';

void t.test('what is fetched ahead is bounded by the cache as well', (t) => {
  const mib = 1024 * 1024;
  t.equal(aheadBytesMaxOf(undefined, 4096 * mib), 16 * mib);
  t.equal(aheadBytesMaxOf(64 * mib, 4096 * mib), 64 * mib);
  t.equal(aheadBytesMaxOf(0, 4096 * mib), 0, 'off');
  t.equal(aheadBytesMaxOf(undefined, 16 * mib), 2 * mib, 'a small cache');
  t.equal(aheadBytesMaxOf(64 * mib, 0), 0, 'a cache that is out of use');
  t.end();
});
