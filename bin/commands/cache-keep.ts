import { printable } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionValues } from '../../lib/options/option.js';
import type { ObjectKey } from '../../lib/store/key.js';
import { cacheDirectory, type CacheFlags } from './cache-directory.js';
import { runAction } from './failures.js';
import { fetched, finish, listed, type jobsOption } from './fetch.js';
import type { SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { formatSize } from './sizes.js';
import { tableLines, type Column } from './table.js';
import { pathArgument, withRepository } from './with-repository.js';

/* `pinfs cache keep | unkeep | kept`. */

export async function keep(
  source: string,
  path: string,
  flags: SourceFlags & OptionValues<typeof jobsOption>,
): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const { keepListed } = await import('../../lib/repository/use/keep.js');
    const began = performance.now();
    const keys = new Set<ObjectKey>();
    const list = await listed(repository, path, flags, (key) => keys.add(key));
    const report = await keepListed(list, keys, fetched);
    await finish(repository, report, (performance.now() - began) / 1000, flags);
  });
}

export async function unkeep(source: string, path: string, flags: SourceFlags): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const { walk } = await import('../../lib/repository/use/path.js');
    const { partOf } = await import('../../lib/repository/use/keep.js');
    const { unkeepPart } = await import('../../lib/store/cache/kept-parts.js');
    const part = partOf(repository, await walk(repository, pathArgument(path), true));
    if (!(await unkeepPart(repository.store.directory, part))) {
      throw new PinfsError(
        'NOT_FOUND',
        `${printable(part.path) || '/'} of ${part.root} is not kept`,
        {
          advice: 'pinfs cache kept shows what is.',
        },
      );
    }
    if (flags.json === true) printJson(part);
    else await print(`${printable(part.path) || '/'} of ${part.root} is kept no longer\n`);
  });
}

const keptColumns: readonly Column[] = [
  { head: 'since' },
  { head: 'objects', right: true },
  { head: 'lost', right: true },
  { head: 'size', right: true },
  { head: 'snapshot' },
  { head: 'path' },
];

export async function kept(flags: CacheFlags): Promise<void> {
  await runAction(flags, async () => {
    const { keptParts } = await import('../../lib/store/cache/kept-parts.js');
    const parts = await keptParts(cacheDirectory(flags).cache);
    if (flags.json === true) {
      printJson(parts.map((part) => ({ ...part, since: new Date(part.since).toISOString() })));
      return;
    }
    const rows = parts.map(({ repository, root, path, since, objects, bytes, lacking }) => [
      new Date(since).toISOString().slice(0, 10),
      String(objects),
      lacking > 0 ? String(lacking) : '-',
      formatSize(bytes),
      `${printable(repository)}@${root}`,
      printable(path) || '/',
    ]);
    for (const line of tableLines(keptColumns, rows)) await print(`${line}\n`);
  });
}
