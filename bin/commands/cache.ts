import type { Command } from 'commander';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { LostObject } from '../../lib/store/cache/maintain.js';
import { evict, listCache, size, sizeOptions } from './cache-contents.js';
import { cacheDirectory, cacheOptions, type CacheFlags } from './cache-directory.js';
import { keep, kept, unkeep } from './cache-keep.js';
import { jobsOption } from './fetch.js';
import { runAction } from './failures.js';
import {
  addOptions,
  outputOptions,
  sourceArgument,
  sourceOptions,
  type OutputFlags,
} from './options.js';
import { printableText } from '../../lib/format/bytes.js';
import { formatSize } from './sizes.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';

const verifyOptions = {
  repair: {
    flag: '--repair',
    kind: 'flag',
    help: 'fetch again what is damaged or gone',
    manual:
      'Fetches again what is damaged or gone: from the sources that are named behind it, else from those that were used last.',
  },
} as const satisfies OptionRows;

type VerifyFlags = CacheFlags & OptionValues<typeof verifyOptions>;

export function register(program: Command): void {
  const cache = program.command('cache').description('look after the cache directory');
  cacheOption(cache.command('list'))
    .description('the objects that the cache has')
    .action(listCache);
  addOptions(cacheOption(cache.command('size')), sizeOptions)
    .description('how many objects and bytes the cache holds')
    .action(size);
  addOptions(cacheOption(cache.command('verify')), verifyOptions)
    .description('hash every object again; damaged ones are thrown away')
    .argument('[source...]', 'URLs or directories of repositories that may have it')
    .action(verify);
  cacheOption(cache.command('clear'))
    .description('remove every object that no mount holds, and that is not kept')
    .action(clear);
  sourceOptions(cache.command('evict'))
    .description(
      `remove what is at or below a path of a snapshot, unless a mount holds it or it is kept

Whoever reads it later fetches it again. An object that is also elsewhere in this snapshot, or in another one, goes too.`,
    )
    .summary('remove what is at or below a path of a snapshot')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'path in the repository', '/')
    .action(evict);
  addOptions(sourceOptions(cache.command('keep')), jobsOption)
    .description(
      `fetch everything at or below a path into the cache, and keep it there

What is kept is never evicted, nor cleared, until it is let go of with unkeep. What can't be made complete is not kept.`,
    )
    .summary('fetch what is at or below a path, and keep it from eviction')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'path in the repository', '/')
    .action(keep);
  sourceOptions(cache.command('unkeep'))
    .description('let go of what was kept: it goes when room is needed')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'the path that was kept', '/')
    .action(unkeep);
  cacheOption(cache.command('kept')).description('what is kept in the cache').action(kept);
  outputOptions(cache.command('read-only'))
    .description(
      `have a mount let go of its cache, so that the file system of that can be mounted read-only

The mount goes on: what the cache has is read on, what it lacks passes through a small spare and is not kept.
To have it write again, end it and mount anew.`,
    )
    .summary('have a mount let go of its cache, and go on')
    .argument('<mountpoint>', 'where it is mounted')
    .action(leave);
  cacheOption(program.command('forget'))
    .description('forget what was seen of a repository: its newest revision, tags, inode numbers')
    .argument('<fqrn>')
    .action(forget);
}

function cacheOption(command: Command): Command {
  return addOptions(outputOptions(command), cacheOptions);
}

async function verify(sources: readonly string[], flags: VerifyFlags): Promise<void> {
  await runAction(flags, async () => {
    const { verifyAll } = await import('../../lib/store/cache/maintain.js');
    const lost: LostObject[] = [];
    const report = await withProgress('verified', undefined, (progress) =>
      verifyAll(
        cacheDirectory(flags).cache,
        (objects, bytes) => progress.update(objects, formatSize(bytes)),
        (object) => lost.push(object),
      ),
    );
    const repaired = flags.repair === true ? await repairAll(lost, sources, flags) : undefined;
    const left = repaired === undefined ? report.damaged : repaired.notRepaired;
    if (left.length > 0) process.exitCode = 5;
    if (flags.json === true) printJson({ ...report, ...repaired });
    else {
      await print(
        `${report.objects} objects, ${formatSize(report.bytes)}: ${report.damaged.length} damaged and thrown away\n`,
      );
      for (const key of report.damaged) await print(`  ${key}\n`);
      if (repaired === undefined) return;
      await print(`${repaired.repaired} of ${lost.length} fetched again\n`);
      for (const { key, code } of repaired.notRepaired) await print(`  not ${key} [${code}]\n`);
    }
  });
}

async function repairAll(lost: readonly LostObject[], given: readonly string[], flags: CacheFlags) {
  const { repair } = await import('../../lib/repository/use/repair.js');
  const { knownSources } = await import('../../lib/repository/open/known-sources.js');
  const { cache, state } = cacheDirectory(flags);
  return repair(cache, lost, given.length > 0 ? given : knownSources(state));
}

async function clear(flags: CacheFlags): Promise<void> {
  await runAction(flags, async () => {
    const { clearCache } = await import('../../lib/store/cache/maintain.js');
    const removed = await clearCache(cacheDirectory(flags).cache);
    if (flags.json === true) printJson(removed);
    else await print(`removed ${removed.objects} objects, ${formatSize(removed.bytes)}\n`);
  });
}

async function leave(mountpoint: string, flags: OutputFlags): Promise<void> {
  await runAction(flags, async () => {
    const { leaveCacheOf } = await import('../../lib/mount/leave-cache.js');
    const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
    const directory = await leaveCacheOf(mountpoint, runtimeDirectories());
    if (flags.json === true) printJson({ mountpoint, cache: directory });
    else
      await print(`nothing is written into ${printableText(directory)} by this mount any more\n`);
  });
}

async function forget(fqrn: string, flags: CacheFlags): Promise<void> {
  await runAction(flags, async () => {
    const { openSeen } = await import('../../lib/trust/memory/seen.js');
    const { forgetInodes } = await import('../../lib/repository/inodes/inode-files.js');
    const { state } = cacheDirectory(flags);
    const seen = openSeen(state, () => true).forget(fqrn);
    const forgotten = forgetInodes(state, fqrn) || seen;
    if (flags.json === true) printJson({ fqrn, forgotten });
    else await print(forgotten ? `forgot ${fqrn}\n` : `nothing was known of ${fqrn}\n`);
  });
}
