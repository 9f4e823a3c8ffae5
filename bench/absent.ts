/** `node absent.js DIRECTORY`: 10,000 lookups of absent names; prints the milliseconds of the second round. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';

const directory = process.argv[2] ?? '.';

function round(): number {
  const started = performance.now();
  for (let index = 0; index < 10_000; index++) {
    lstatSync(join(directory, `absent${index}`), { throwIfNoEntry: false });
  }
  return performance.now() - started;
}

round();
process.stdout.write(String(round()));
