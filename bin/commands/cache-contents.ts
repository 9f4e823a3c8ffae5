import { isoTime } from '../../lib/format/time.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { printable, printableText } from '../../lib/format/bytes.js';
import type { CachedAmount, CachedSnapshots } from '../../lib/repository/use/cached-snapshots.js';
import { cacheDirectory, type CacheFlags } from './cache-directory.js';
import { runAction } from './failures.js';
import type { ObjectKey } from '../../lib/store/key.js';
import type { SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { formatSize } from './sizes.js';
import { headLines, rowLine, tableLines, type Column } from './table.js';
import { pathArgument, withRepository } from './with-repository.js';

/* `pinfs cache list | size | evict`: what a cache has. */

export const sizeOptions = {
  by: {
    flag: '--by',
    value: 'what',
    kind: 'choice',
    choices: ['snapshot'],
    help: 'what each snapshot takes, and what it takes alone',
  },
} as const satisfies OptionRows;

const listColumns: readonly Column[] = [
  { head: 'last used', width: 20 },
  { head: 'size', right: true, width: 10 },
  { head: 'kind', width: 11 },
  { head: 'object', width: 40 },
  { head: 'state' },
];

export async function listCache(flags: CacheFlags): Promise<void> {
  await runAction({ ...flags, jsonLines: true }, async () => {
    const { eachObject } = await import('../../lib/store/cache/contents.js');
    const { partsOfKey } = await import('../../lib/store/key.js');
    if (flags.json !== true) for (const line of headLines(listColumns)) await print(`${line}\n`);
    await eachObject(cacheDirectory(flags).cache, async ({ key, bytes, usedMs, isHeld }) => {
      const { kind } = partsOfKey(key).object;
      const used = new Date(usedMs).toISOString();
      if (flags.json === true) printJson({ key, kind, bytes, used, held: isHeld }, true);
      const cells = [`${used.slice(0, 19)}Z`, formatSize(bytes), kind, key, isHeld ? 'held' : ''];
      if (flags.json !== true) await print(`${rowLine(listColumns, cells)}\n`);
    });
  });
}

export async function size(flags: CacheFlags & OptionValues<typeof sizeOptions>): Promise<void> {
  await runAction(flags, async () => {
    const { cache, state } = cacheDirectory(flags);
    if (flags.by !== undefined) {
      await sizeBySnapshot(cache, state, flags);
      return;
    }
    const { cacheSize } = await import('../../lib/store/cache/maintain.js');
    const found = await cacheSize(cache);
    if (flags.json === true) printJson({ directory: cache, ...found });
    else
      await print(
        `${printableText(cache)}: ${found.objects} objects, ${formatSize(found.bytes)}\n`,
      );
  });
}

const snapshotColumns: readonly Column[] = [
  { head: 'root hash' },
  { head: 'revision', right: true },
  { head: 'published' },
  { head: 'objects', right: true },
  { head: 'size', right: true },
  { head: 'alone', right: true },
  { head: 'size alone', right: true },
  { head: 'names' },
];

async function sizeBySnapshot(cache: string, state: string, flags: CacheFlags): Promise<void> {
  const { cachedSnapshots } = await import('../../lib/repository/use/cached-snapshots.js');
  const { namesOfRoots } = await import('../../lib/trust/memory/names-of-roots.js');
  const { snapshots, rest }: CachedSnapshots = await cachedSnapshots(cache);
  const names = namesOfRoots(state);
  const named = snapshots.map((one) => ({ ...one, names: names.get(one.rootHash) ?? [] }));
  if (flags.json === true) {
    const dated = named.map((one) => ({ ...one, time: isoTime(one.published) }));
    printJson({ directory: cache, snapshots: dated, rest });
    return;
  }
  const rows = named.map(({ rootHash, revision, published, all, alone, names }) => [
    rootHash,
    String(revision),
    new Date(published * 1000).toISOString().slice(0, 10),
    ...[String(all.objects), formatSize(all.bytes)],
    ...[String(alone.objects), formatSize(alone.bytes)],
    names.map(printable).join(' '),
  ]);
  for (const line of tableLines(snapshotColumns, rows)) await print(`${line}\n`);
  await print(`of no snapshot here: ${amountText(rest)}\n`);
}

function amountText({ objects, bytes }: CachedAmount): string {
  return `${objects} objects, ${formatSize(bytes)}`;
}

export async function evict(source: string, path: string, flags: SourceFlags): Promise<void> {
  await runAction(flags, async () => {
    const { evictObjects } = await import('../../lib/store/cache/contents.js');
    let found: { readonly directory: string; readonly keys: readonly ObjectKey[] } | undefined;
    await withRepository(source, flags, async (repository) => {
      const { walk } = await import('../../lib/repository/use/path.js');
      const { keysBelow } = await import('../../lib/repository/use/keys-below.js');
      const start = await walk(repository, pathArgument(path), false);
      found = { directory: repository.store.directory, keys: await keysBelow(repository, start) };
    });
    // What went wrong was told.
    if (found === undefined) return;
    // Not before: this process held the root catalog itself.
    const evicted = await evictObjects(found.directory, found.keys);
    if (flags.json === true) printJson(evicted);
    else {
      const held =
        evicted.held === 0 ? '' : `; ${evicted.held} stay: a mount holds them, or they are kept`;
      await print(`removed ${evicted.objects} objects, ${formatSize(evicted.bytes)}${held}\n`);
    }
  });
}
