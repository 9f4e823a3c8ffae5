import { execFileSync } from 'node:child_process';
import t from 'tap';
import {
  checkAddressSpace,
  frugalArguments,
  isFrugal,
  leastAddressSpaceBytes,
} from './address-space.js';
import { parseSoftLimit, softLimit } from './limits.js';

const text = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 524288               files
Max address space         unlimited            4096000000           bytes
`;

void t.test('limits are read as the kernel shows them', (t) => {
  t.equal(parseSoftLimit(text, 'Max open files'), 1024);
  t.equal(parseSoftLimit(text, 'Max address space'), undefined);
  t.equal(parseSoftLimit('', 'Max open files'), undefined);
  t.equal(parseSoftLimit('Max open files', 'Max open files'), undefined);
  const files = softLimit('Max open files');
  if (files !== undefined) t.ok(files > 0);
  t.end();
});

void t.test('only a process of little address space is started in another way', (t) => {
  t.same(frugalArguments(undefined), []);
  t.same(frugalArguments(2 ** 40), []);
  t.ok(isFrugal(undefined));
  const args = frugalArguments(4e9);
  t.notOk(isFrugal(4e9));
  // Node does not start where it does not know an argument.
  t.equal(execFileSync(process.execPath, [...args, '-p', '1'], { encoding: 'utf8' }), '1\n');
  t.end();
});

void t.test('too little address space has a name, and the number that is enough', (t) => {
  for (const what of ['command', 'mount'] as const) {
    const least = leastAddressSpaceBytes[what];
    t.doesNotThrow(() => checkAddressSpace(what, undefined));
    t.doesNotThrow(() => checkAddressSpace(what, least));
    t.throws(() => checkAddressSpace(what, least - 1), {
      code: 'MEMORY_LIMITED',
      exit: 1,
      message: new RegExp(`${least / 1e6} MB`),
      advice: /ulimit -v \d+/,
    });
  }
  t.end();
});
