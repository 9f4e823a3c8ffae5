import t from 'tap';
import { catalogBytesLeast } from './catalog-bytes.js';

const counters = (counts: Record<string, readonly [number, number]>) => ({
  counters: new Map(
    Object.entries(counts).map(([name, [self, subtree]]) => [
      name,
      { self: BigInt(self), subtree: BigInt(subtree) },
    ]),
  ),
});

void t.test('catalogs take their pages, and what their entries need', (t) => {
  t.equal(catalogBytesLeast(counters({})), 57344, 'one with nothing in it');
  t.equal(catalogBytesLeast(counters({ nested: [2, 217] })), 220 * 57344);
  const many = counters({ nested: [0, 1], regular: [1e6, 2e6], dir: [0, 1e6], chunks: [1e9, 0] });
  t.equal(catalogBytesLeast(many), 4e8, 'chunks are not among them');
  t.end();
});
