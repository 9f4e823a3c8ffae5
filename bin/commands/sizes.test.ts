import t from 'tap';
import { formatSize, parseSize } from './sizes.js';
import { deviceNumbers } from './entry-text.js';

t.test('sizes', (t) => {
  t.equal(parseSize('1048576'), 1048576);
  t.equal(parseSize('500M'), 500 * 2 ** 20);
  t.equal(parseSize('4GiB'), 4 * 2 ** 30);
  t.equal(parseSize('1k'), 1024);
  for (const text of ['', '0', '-1', '1.5G', '4X', '9999999999999T']) {
    t.throws(() => parseSize(text), { code: 'USAGE' }, text);
  }
  t.equal(formatSize(0), '0 B');
  t.equal(formatSize(883.4379), '883 B', 'a rate is no whole number');
  t.equal(formatSize(1536), '1.5 KiB');
  t.equal(formatSize(3 * 2 ** 40), '3.0 TiB');
  t.end();
});

t.test('device numbers as glibc packs them', (t) => {
  t.same(deviceNumbers(2049), { major: 8, minor: 1 });
  t.same(deviceNumbers(1114924), { major: 259, minor: 300 });
  t.end();
});
