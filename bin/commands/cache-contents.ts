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

export async function listCache(flags: CacheFlags): Promise<void> {
  await runAction({ ...flags, jsonLines: true }, async () => {
    const { eachObject } = await import('../../lib/store/cache/contents.js');
    const { partsOfKey } = await import('../../lib/store/key.js');
    await eachObject(cacheDirectory(flags).cache, async ({ key, bytes, usedMs, isHeld }) => {
      const { kind } = partsOfKey(key).object;
      const used = new Date(usedMs).toISOString();
      if (flags.json === true) printJson({ key, kind, bytes, used, held: isHeld }, true);
      const held = isHeld ? '  held' : '';
      const size = formatSize(bytes).padStart(10);
      if (flags.json !== true)
        await print(`${used.slice(0, 19)}Z ${size}  ${kind.padEnd(11)} ${key}${held}\n`);
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
  for (const one of named) {
    const published = new Date(one.published * 1000).toISOString().slice(0, 10);
    const known = one.names.map((name) => ` ${printable(name)}`).join('');
    await print(`${one.rootHash}${known}, revision ${one.revision} of ${published}\n`);
    await print(`  ${amountText(one.all)}; alone ${amountText(one.alone)}\n`);
  }
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
