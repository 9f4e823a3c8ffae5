import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { PinfsError } from '../format/errors.js';
import { memorySource } from '../testing/fakes/memory-source.js';
import { seededRandom } from '../testing/trees.js';
import { openStore } from './open.js';
import { readWhole } from './run.js';

// Copied files are others than those that were checked, as all are for a machine that has started anew.

const seed = Number(process.env['PINFS_SEED'] ?? '1');
const flips = 60;
// From here on small objects lie beside others.
const limit = 200 * 2 ** 20;

async function filled(parent: string) {
  const source = memorySource();
  const directory = join(parent, 'cache');
  const store = openStore({ directory, limit, source });
  const small = Array.from({ length: 30 }, (_, index) => randomBytes(200 * index));
  const plains = [...small, randomBytes(100_000), randomBytes(700_000)];
  const wants = plains.map((plain) => source.put(plain));
  const catalog = randomBytes(50_000);
  plains.push(catalog);
  wants.push(source.put(catalog, { kind: 'catalog' }));
  for (const want of wants) await store.fetch(want);
  await store.close();
  return { directory, source, plains, wants };
}

/** Flips a bit of a file in a part of a cache. */
function flip(directory: string, parts: readonly string[], random: () => number): string {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => parts.some((part) => path.startsWith(part)))
    .map((path) => join(directory, path))
    .filter((path) => statSync(path).isFile() && statSync(path).size > 0)
    .sort();
  // Each byte is as likely.
  let at = Math.floor(random() * files.reduce((sum, path) => sum + statSync(path).size, 0));
  for (const path of files) {
    const bytes = readFileSync(path);
    if (at < bytes.length) {
      bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      chmodSync(path, 0o600);
      writeFileSync(path, bytes);
      return path;
    }
    at -= bytes.length;
  }
  throw new Error('the cache is empty');
}

void t.test('a flipped bit anywhere in a cache is found before it is served', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'pinfs-flipped-'));
  t.teardown(() => rmSync(parent, { recursive: true, force: true }));
  const { directory, source, plains, wants } = await filled(parent);
  const random = seededRandom(seed);
  const found = { objects: 0, records: 0, refused: 0 };
  for (let round = 0; round < flips; round++) {
    const copy = join(parent, `copy-${round}`);
    cpSync(directory, copy, { recursive: true });
    const isOfObjects = round % 2 === 0;
    const flipped = flip(copy, isOfObjects ? ['objects', 'segments'] : ['index.db'], random);
    const before = source.requests.length;
    let wrong = 0;
    try {
      const store = openStore({ directory: copy, limit, source });
      for (const [number, want] of wants.entries()) {
        const bytes = await readWhole(store, want);
        if (plains[number]?.equals(bytes) !== true) wrong += 1;
      }
      await store.close();
    } catch (thrown) {
      // Records that look like a newer version's are refused.
      t.ok(
        !isOfObjects && thrown instanceof PinfsError && thrown.code === 'CACHE_UNUSABLE',
        flipped,
      );
      found.refused += 1;
    }
    t.equal(wrong, 0, `${flipped}, PINFS_SEED=${seed}`);
    const fetched = source.requests.length - before;
    if (isOfObjects) t.ok(fetched <= 1, `${fetched} fetched again`);
    if (fetched > 0) found[isOfObjects ? 'objects' : 'records'] += 1;
    rmSync(copy, { recursive: true });
  }
  t.ok(found.objects > flips / 4, 'most of what objects lie in are objects');
  t.comment(JSON.stringify(found));
});
