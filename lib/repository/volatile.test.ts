import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { file, makeRepository, type MadeRepository } from '../publish/write-repository.js';
import { openRepository } from './open.js';
import { readRange, walk } from './use/path.js';

const size = 100_000;
const count = 6;

function made(isVolatile: boolean): MadeRepository {
  const bytes = (index: number) =>
    Buffer.alloc(size, `${isVolatile ? 'passing' : 'lasting'} ${index} `);
  const tree = Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `file-${index}`,
      file(bytes(index), { compression: 'none' }),
    ]),
  );
  const properties = isVolatile ? { volatile: '1' } : {};
  return makeRepository({
    fqrn: isVolatile ? 'passing.example.org' : 'lasting.example.org',
    revisions: [{ tree, properties }],
  });
}

/** Reads files of a repository; those that had to be fetched. */
async function read(work: string, source: string, numbers: readonly number[]): Promise<number[]> {
  const options = {
    source,
    keys: [`${source}.pub`],
    cache: join(work, 'cache'),
    cacheLimit: 10 * size,
  };
  const repository = await openRepository(options);
  const fetched: number[] = [];
  let total = 0;
  for (const index of numbers) {
    const before = repository.store.statistics.misses;
    const entry = await walk(repository, `/file-${index}`, false);
    for await (const piece of readRange(repository, entry)) total += piece.length;
    if (repository.store.statistics.misses > before) fetched.push(index);
  }
  await repository.close();
  if (total !== size * numbers.length) throw new Error(`${total} bytes were read`);
  return fetched;
}

void t.test('content of a volatile repository goes before what others need', async (t: Test) => {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-volatile-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const [lasting, passing] = [made(false), made(true)].map((one) => {
    const source = one.writeTo(work);
    writeFileSync(`${source}.pub`, one.masterKey);
    return source;
  }) as [string, string];
  const all = Array.from({ length: count }, (_, index) => index);
  t.same(await read(work, lasting, all), all);
  // Used later than all others, and too much for the cache together with them.
  t.same(await read(work, passing, all), all);
  t.same(await read(work, lasting, all), [], 'what lasts is all there still');
  const again = await read(work, passing, all);
  t.ok(again.length > 0, 'of what passes something went');
});
