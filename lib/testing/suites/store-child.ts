import { openStore } from '../../store/open.js';
import { runOperation } from '../../store/run.js';
import { done, type Outcome } from '../../store/want.js';
import { memorySource } from '../fakes/memory-source.js';

/**
 * A process of its own on a cache, for tests of what several or dying ones do:
 * `node store-child.js DIRECTORY LIMIT FIRST COUNT [hold|forever]`. It reads objects FIRST … FIRST+COUNT-1
 * of `childObject`, prints a line for each, and ends (or begins again, `forever`, or stays, `hold`).
 */
export function childObject(number: number): Buffer {
  const size = 1 + ((number * 2711) % 12_000);
  return Buffer.alloc(size, `object ${number} `);
}

async function main(): Promise<void> {
  const [directory = '', limit = '', first = '', count = '', mode = ''] = process.argv.slice(2);
  const source = memorySource();
  const store = openStore({ directory, limit: Number(limit), source });
  const numbers = Array.from({ length: Number(count) }, (_, index) => Number(first) + index);
  const buffer = Buffer.alloc(16_384);
  do {
    for (const number of numbers) {
      const plain = childObject(number);
      const want = source.put(plain);
      const read = (): Outcome<number> => {
        const length = store.shelf.read(want, 0, buffer.length, buffer, 0);
        return length === undefined ? { kind: 'miss', want } : done(length);
      };
      const outcome = await runOperation(read, store);
      const right =
        outcome.kind === 'done' && buffer.subarray(0, outcome.value).equals(plain) ? 'right' : '';
      if (mode === 'hold') store.hold(want);
      process.stdout.write(`${number} ${right || JSON.stringify(outcome)}\n`);
    }
  } while (mode === 'forever');
  process.stdout.write(`end ${store.statistics.evicted}\n`);
  // Until the test ends it.
  if (mode === 'hold') setInterval(() => undefined, 1000);
  else await store.close();
}

if (process.argv[1]?.endsWith('store-child.js') === true) await main();
