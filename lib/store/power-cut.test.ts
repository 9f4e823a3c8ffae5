import { randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
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
import { memorySource } from '../testing/fakes/memory-source.js';
import { seededRandom } from '../testing/trees.js';
import { openStore } from './open.js';
import { readWhole } from './run.js';
import type { Want } from './want.js';

// A cache after the machine lost its power: nothing is synced but now and then the log of the records, so that of each
// file what was written since is there, or is not, or is zeros where its size was written and its bytes were not.

const seed = Number(process.env['PINFS_SEED'] ?? '1');
const cuts = 60;
// From here on small objects lie beside others.
const limit = 200 * 2 ** 20;
const pageBytes = 4096;

interface Filled {
  readonly source: ReturnType<typeof memorySource>;
  readonly plains: readonly Buffer[];
  readonly wants: readonly Want[];
  /** The cache as it lay on the disk, each time that more had come. */
  readonly moments: readonly string[];
}

/** Fills a cache, and copies it now and then while it is open. */
async function filled(parent: string): Promise<Filled> {
  const source = memorySource();
  const directory = join(parent, 'cache');
  const store = openStore({ directory, limit, source });
  const sizes = Array.from({ length: 60 }, (_, index) =>
    index % 12 === 11 ? 90_000 : 300 * index,
  );
  const plains = sizes.map((size) => randomBytes(size));
  const wants = plains.map((plain) => source.put(plain));
  const moments: string[] = [];
  for (const [index, want] of wants.entries()) {
    await store.fetch(want);
    if (index % 15 !== 14) continue;
    moments.push(join(parent, `moment-${index}`));
    cpSync(directory, moments.at(-1) ?? '', { recursive: true });
  }
  await store.close();
  return { source, plains, wants, moments };
}

const read = (path: string): Buffer => (existsSync(path) ? readFileSync(path) : Buffer.alloc(0));

/** What may be left of a file: what was on the disk before, what was written since, or parts of that. */
function left(before: Buffer, after: Buffer, random: () => number): Buffer {
  switch (Math.floor(random() * 4)) {
    case 0:
      return before;
    case 1:
      return after;
    case 2:
      return after.subarray(0, Math.floor(random() * (after.length + 1)));
    default: {
      // Page by page.
      const bytes = Buffer.alloc(after.length);
      before.copy(bytes);
      for (let at = 0; at < after.length; at += pageBytes)
        if (random() < 0.5) after.copy(bytes, at, at, at + pageBytes);
      return bytes;
    }
  }
}

/** A cache of which a part was not written. */
function cut(before: string, after: string, to: string, random: () => number): void {
  cpSync(after, to, { recursive: true });
  const isDatabaseWhole = random() < 0.7;
  for (const name of readdirSync(to, { recursive: true, encoding: 'utf8' })) {
    const path = join(to, name);
    if (!statSync(path).isFile()) continue;
    // SQLite itself sees to its database, as long as what it synced is there: its log may be lost from some place on.
    const isDatabase = name.startsWith('index.db');
    if (isDatabase && isDatabaseWhole && !name.endsWith('-wal')) continue;
    const bytes = left(read(join(before, name)), read(path), random);
    rmSync(path);
    // Nor may a name be there; those that came first are, if any is.
    const isFirst = isDatabase || name === 'version' || name === 'CACHEDIR.TAG';
    if (isFirst || random() < 0.9) writeFileSync(path, bytes);
  }
}

void t.test('nothing wrong is served after a power cut, and all can be had again', async (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'pinfs-power-'));
  t.teardown(() => rmSync(parent, { recursive: true, force: true }));
  const { source, plains, wants, moments } = await filled(parent);
  const random = seededRandom(seed);
  const found = { kept: 0, fetched: 0 };
  for (let round = 0; round < cuts; round++) {
    const at = 1 + Math.floor(random() * (moments.length - 1));
    const copy = join(parent, `cut-${round}`);
    cut(moments[at - 1] ?? '', moments[at] ?? '', copy, random);
    const text = `cut ${round}, PINFS_SEED=${seed}`;
    for (const reading of ['with a network', 'with none']) {
      const before = source.requests.length;
      const store = openStore({
        directory: copy,
        limit,
        source,
        offline: reading !== 'with a network',
      });
      let wrong = 0;
      for (const [number, want] of wants.entries())
        if (plains[number]?.equals(await readWhole(store, want)) !== true) wrong += 1;
      await store.close();
      t.equal(wrong, 0, `${reading}: ${text}`);
      const fetched = source.requests.length - before;
      if (reading === 'with none') t.equal(fetched, 0, `all is here again: ${text}`);
      else {
        found.fetched += fetched;
        found.kept += wants.length - fetched;
      }
    }
    rmSync(copy, { recursive: true });
  }
  t.ok(found.kept > 0 && found.fetched > 0, JSON.stringify(found));
});
