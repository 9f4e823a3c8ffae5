import { openRepository } from '../../repository/open.js';
import { processEnvironment } from '../../repository/open/environment.js';
import { promised, treeOf } from './promised.js';

/**
 * A process that opens, reads and closes everything of the promised repository for ever, to be killed:
 * `node promised-child.js URL KEY CACHE`. A line for each step.
 */
const { first, second } = promised;

async function main(): Promise<void> {
  const [url = '', key = '', cache = ''] = process.argv.slice(2);
  for (;;) {
    for (const pin of [undefined, 'v1', 'v2', first.rootHash.text, second.rootHash.text]) {
      const source = pin === undefined ? url : `${url}@${pin}`;
      const options = { source, keys: [key], cache, cacheLimit: 40_000_000 };
      const opened = await openRepository(options, processEnvironment);
      process.stdout.write('opened\n');
      const tree = await treeOf(opened);
      const failed = [...tree.values()].some((entry) => entry.failed !== undefined);
      process.stdout.write(failed ? 'wrong\n' : 'read\n');
      await opened.close();
      process.stdout.write('closed\n');
    }
  }
}

if (process.argv[1]?.endsWith('promised-child.js') === true) await main();
