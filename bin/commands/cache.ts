import type { Command } from 'commander';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { printableText } from '../../lib/format/bytes.js';
import { directories, processEnvironment } from '../../lib/repository/open/environment.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { formatSize } from './sizes.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';

const cacheOptions = {
  cache: { ...sourceOptionTable.cache, help: 'cache directory', manual: undefined },
} as const satisfies OptionRows;

type CacheFlags = OutputFlags & OptionValues<typeof cacheOptions>;

export function register(program: Command): void {
  const cache = program.command('cache').description('look after the cache directory');
  for (const [name, description, action] of [
    ['size', 'how many objects and bytes the cache holds', size],
    ['verify', 'hash every object again; damaged ones are thrown away', verify],
    ['clear', 'remove every object that no mount holds', clear],
  ] as const) {
    cacheOption(cache.command(name)).description(description).action(action);
  }
  cacheOption(program.command('forget'))
    .description('forget what was seen of a repository: its newest revision, tags, inode numbers')
    .argument('<fqrn>')
    .action(forget);
}

function cacheOption(command: Command): Command {
  return addOptions(outputOptions(command), cacheOptions);
}

function cacheDirectory(flags: CacheFlags): { cache: string; state: string } {
  return directories(
    { source: '', ...(flags.cache === undefined ? {} : { cache: flags.cache }) },
    processEnvironment,
  );
}

async function size(flags: CacheFlags): Promise<void> {
  await runAction(flags, async () => {
    const { cacheSize } = await import('../../lib/store/cache/maintain.js');
    const { cache } = cacheDirectory(flags);
    const found = await cacheSize(cache);
    if (flags.json === true) printJson({ directory: cache, ...found });
    else
      await print(
        `${printableText(cache)}: ${found.objects} objects, ${formatSize(found.bytes)}\n`,
      );
  });
}

async function verify(flags: CacheFlags): Promise<void> {
  await runAction(flags, async () => {
    const { verifyAll } = await import('../../lib/store/cache/maintain.js');
    const report = await withProgress('verified', undefined, (progress) =>
      verifyAll(cacheDirectory(flags).cache, (objects, bytes) => {
        progress.update(objects, formatSize(bytes));
      }),
    );
    if (report.damaged.length > 0) process.exitCode = 5;
    if (flags.json === true) printJson(report);
    else {
      await print(
        `${report.objects} objects, ${formatSize(report.bytes)}: ${report.damaged.length} damaged and thrown away\n`,
      );
      for (const key of report.damaged) await print(`  ${key}\n`);
    }
  });
}

async function clear(flags: CacheFlags): Promise<void> {
  await runAction(flags, async () => {
    const { clearCache } = await import('../../lib/store/cache/maintain.js');
    const removed = await clearCache(cacheDirectory(flags).cache);
    if (flags.json === true) printJson(removed);
    else await print(`removed ${removed.objects} objects, ${formatSize(removed.bytes)}\n`);
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
