/** `npm run bench`: the series of bench/README.md, cold and warm reads beside curl and the local disk. */
import { tmpdir } from 'node:os';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pinfs } from './client.js';
import { rowsNamed, type Row } from './rows.js';
import { makeSeries } from './series.js';
import { openStage } from './stage.js';
import type { TreeName } from './made-trees.js';

const memory = '/dev/shm';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    small: { type: 'boolean', default: false },
    beside: { type: 'string' },
    json: { type: 'string' },
    trees: { type: 'string', default: join(existsSync(memory) ? memory : tmpdir(), 'pinfs-bench') },
    work: { type: 'string', default: join('/var/tmp', 'pinfs-bench') },
  },
});

function treesOf(chosen: readonly Row[]): TreeName[] {
  return [...new Set(chosen.flatMap(({ tree, also = [] }) => [tree, ...also]))];
}

async function main(): Promise<void> {
  const chosen = rowsNamed(values.only?.split(','));
  const { beside, small, trees, work } = values;
  const clients = [pinfs, ...(beside === undefined ? [] : [{ name: 'beside', command: beside }])];
  const series = makeSeries();
  process.stderr.write('making what was not kept\n');
  const stage = await openStage({ clients, small, trees, work, names: treesOf(chosen), series });
  try {
    for (let round = 1; round <= Number(values.rounds); round++) {
      for (const row of chosen) {
        process.stderr.write(`round ${round}: ${row.name}\n`);
        series.begin(row.name);
        await row.round(stage);
      }
    }
  } finally {
    await stage.close();
    process.stdout.write(series.table());
    if (values.json !== undefined) {
      writeFileSync(values.json, `${JSON.stringify(series.measured, null, 2)}\n`);
    }
  }
}

await main();
