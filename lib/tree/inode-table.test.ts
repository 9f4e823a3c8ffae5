import fc from 'fast-check';
import t from 'tap';
import { inodeOfDigest, pathDigest } from '../format/path-hash.js';
import { createInodeTable, inodeWords, isRootInode, type GivenNumber } from './inode-table.js';

const [rootLow, rootHigh] = inodeWords(inodeOfDigest(pathDigest('')));

t.test('a number of 63 bits is shown as its lower word', (t) => {
  const table = createInodeTable();
  t.same(inodeWords(0x1234_5678_9abc_def0n), [0x9abc_def0, 0x1234_5678]);
  t.equal(table.numberOf(7, 1), 7);
  t.equal(table.numberOf(7, 1), 7, 'again');
  t.same(table.counts, { seen: 2, moved: 0 }, 'the root has its own from the start');
  t.ok(isRootInode(rootLow, rootHigh));
  t.equal(table.numberOf(rootLow, rootHigh), rootLow);
  t.end();
});

t.test('who comes second gets the next free one, and keeps it', (t) => {
  const table = createInodeTable();
  t.equal(table.numberOf(7, 1), 7);
  t.equal(table.numberOf(7, 2), 8);
  t.equal(table.numberOf(8, 1), 9, 'what was taken so is taken');
  t.equal(table.numberOf(7, 3), 10);
  t.same(
    [table.numberOf(7, 1), table.numberOf(7, 2), table.numberOf(8, 1), table.numberOf(7, 3)],
    [7, 8, 9, 10],
  );
  t.equal(table.numberOf(0xffff_fffe, 1), 0xffff_fffe);
  t.equal(table.numberOf(0xffff_fffe, 2), 2, 'around the end, past the reserved ones');
  t.equal(table.numberOf(rootLow, 5), rootLow + 1, 'nobody gets the root’s');
  t.end();
});

t.test('numbers that mean something else are not given', (t) => {
  const table = createInodeTable();
  t.equal(table.numberOf(0, 5), 2);
  t.equal(table.numberOf(1, 5), 3);
  t.equal(table.numberOf(0xffff_ffff, 5), 4);
  t.equal(table.numberOf(0, 5), 2);
  for (const number of [0, 1, 0xffff_ffff]) {
    t.ok(table.isTaken(number));
    t.notOk(table.restore({ low: number, high: 9, number }), 'nor read from a file');
    t.notOk(table.restore({ low: 50, high: 9, number }));
  }
  t.end();
});

t.test('what was given before stays, in whatever order it is read', (t) => {
  const table = createInodeTable();
  t.ok(table.restore({ low: 7, high: 2, number: 8 }));
  t.equal(table.numberOf(7, 2), 8, 'although its lower word is free');
  t.equal(table.numberOf(7, 1), 7);
  t.notOk(table.restore({ low: 7, high: 2, number: 9 }), 'a second number for one file');
  t.notOk(table.restore({ low: 5, high: 2, number: 8 }), 'a second file for one number');
  t.notOk(table.restore({ low: 7, high: 1, number: 70 }));
  t.same(table.counts, { seen: 3, moved: 1 });
  t.end();
});

t.test('a full table gives numbers, and remembers no more', (t) => {
  const given: GivenNumber[] = [];
  const table = createInodeTable({ seenMax: 3, onGiven: (one) => given.push(one) });
  t.equal(table.numberOf(7, 1), 7);
  t.equal(table.numberOf(7, 2), 8);
  t.equal(table.numberOf(100, 1), 100);
  t.equal(table.numberOf(7, 3), 9);
  t.same(table.counts, { seen: 3, moved: 1 });
  t.equal(given.length, 2);
  t.end();
});

t.test('no two files have one number, and each keeps its own', (t) => {
  // Few lower words, so that nearly all collide.
  const word = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.constantFrom(0xffff_ffff, 0xffff_fff0));
  const names = fc.array(fc.tuple(word, fc.integer({ min: 0, max: 0x7fff_ffff })), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(names, (all) => {
      const given: GivenNumber[] = [];
      const table = createInodeTable({ onGiven: (one) => given.push(one) });
      const numbers = new Map(
        all.map(([low, high]) => [`${low}:${high}`, table.numberOf(low, high)] as const),
      );
      const again = createInodeTable();
      for (const one of given) if (!again.restore(one)) return false;
      for (const [low, high] of all.toReversed()) {
        const number = numbers.get(`${low}:${high}`);
        if (table.numberOf(low, high) !== number || again.numberOf(low, high) !== number)
          return false;
      }
      return new Set(numbers.values()).size === numbers.size;
    }),
  );
  t.end();
});

t.test('it grows', (t) => {
  const table = createInodeTable();
  const many = 50_000;
  for (let low = 2; low < many; low++) table.numberOf(low * 3, low);
  t.equal(table.counts.seen, many - 2 + 1);
  let wrong = 0;
  for (let low = 2; low < many; low++) if (table.numberOf(low * 3, low) !== low * 3) wrong++;
  t.equal(wrong, 0);
  t.end();
});
