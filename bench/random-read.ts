/** `node random-read.js FILE`: 20,000 reads of 4 KiB at seeded places, after one that warms; prints milliseconds. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { seededRandom } from '../lib/testing/trees.js';

const file = openSync(process.argv[2] ?? '', 'r');
// A part that stays in the page cache of any machine.
const size = Math.min(fstatSync(file).size, 64 * 2 ** 20);
const target = Buffer.alloc(4096);

for (let at = 0; at < size; at += 2 ** 20) readSync(file, Buffer.alloc(2 ** 20), 0, 2 ** 20, at);

const random = seededRandom(7);
const started = performance.now();
for (let count = 0; count < 20_000; count++) {
  readSync(file, target, 0, 4096, Math.floor((random() * size) / 4096) * 4096);
}
process.stdout.write(String(performance.now() - started));
closeSync(file);
