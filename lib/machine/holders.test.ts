import { closeSync, openSync, statSync } from 'node:fs';
import t from 'tap';
import { holdersOf, namesOfHolders } from './holders.js';

// A directory is looked for as if it were a mount: by the device number of the disk that it lies on, which
// many hold, or by one that nobody has.
const nobodys = '4094:1';

function deviceOf(path: string): string {
  const { dev } = statSync(path);
  const major = (Math.floor(dev / 2 ** 32) & 0xfffff000) | ((dev >>> 8) & 0xfff);
  const minor = (Math.floor(dev / 2 ** 12) & 0xffffff00) | (dev & 0xff);
  return `${major}:${minor}`;
}

void t.test('who holds what is seen by device numbers, wherever it lies', async (t) => {
  const directory = t.testdir({ file: '' });
  const device = deviceOf(directory);
  const fd = openSync(`${directory}/file`, 'r');
  const holders = await holdersOf({ device, place: undefined });
  closeSync(fd);
  const own = holders.find(({ pid }) => pid === process.pid);
  t.match(own, { how: /^(working directory|root directory|running program|open file)$/ });
  t.same(await holdersOf({ device: nobodys, place: directory }), []);
});

void t.test('nobody has no name, and many are cut short', async (t) => {
  t.equal(await namesOfHolders({ device: nobodys, place: '/nowhere' }), undefined);
  const proc = deviceOf('/proc');
  const files = Array.from({ length: 3 }, () => openSync('/proc/self/mountinfo', 'r'));
  const names = await namesOfHolders({ device: proc, place: '/proc' });
  for (const fd of files) closeSync(fd);
  t.match(names, new RegExp(`\\b${process.pid} \\(.*: open file\\)`));
});
