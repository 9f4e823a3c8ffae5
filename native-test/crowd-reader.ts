import { createHash } from 'node:crypto';
import { fromText } from '../lib/format/bytes.js';
import { openRepository } from '../lib/repository/open.js';
import { processEnvironment } from '../lib/repository/open/environment.js';
import { readRange, walk } from '../lib/repository/use/path.js';
import { makeRandom } from './random-model.js';

/**
 * One of many processes with one cache (cold-crowd.test.ts): opens a repository and reads files in random order.
 * Arguments: source, key, cache, limit, seed, how many. Standard input: a line `path sha256` for each file.
 * Prints JSON: how many were wrong, and what failed.
 */
async function main([source, key, cache, limit, seed, count]: readonly string[]): Promise<void> {
  const files = (await text()).trimEnd().split('\n');
  const repository = await openRepository(
    { source: source ?? '', keys: [key ?? ''], cache: cache ?? '', cacheLimit: Number(limit) },
    processEnvironment,
  );
  const random = makeRandom(Number(seed));
  const faults: string[] = [];
  let wrong = 0;
  for (let left = Number(count); left > 0; left--) {
    const [path = '', sha256] = (files[random.below(files.length)] ?? '').split(' ');
    try {
      const hash = createHash('sha256');
      const found = await walk(repository, fromText(path), true);
      for await (const piece of readRange(repository, found)) hash.update(piece);
      if (hash.digest('hex') !== sha256) wrong++;
    } catch (thrown) {
      faults.push(`${path}: ${String(thrown)}`);
    }
  }
  const { notStored } = repository.store.statistics;
  await repository.close();
  process.stdout.write(JSON.stringify({ wrong, faults, notStored: notStored?.reason }));
}

async function text(): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of process.stdin) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString('utf8');
}

await main(process.argv.slice(2));
