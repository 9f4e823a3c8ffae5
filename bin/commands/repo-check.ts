import { createPublicKey } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { exitOf, PinfsError } from '../../lib/format/errors.js';
import { parseHash } from '../../lib/format/hash.js';
import { readGiven } from '../../lib/files/given.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { CheckRequest, RepositoryReport } from '../../lib/publish/repository/check.js';
import type { Storage } from '../../lib/publish/storage/storage.js';
import { noteExit, warn } from './failures.js';
import { inStorage, type StorageFlags } from './in-storage.js';
import { addOptions } from './options.js';
import { print, printJson } from './output.js';
import { startWaiting, withProgress, type Progress } from './progress.js';
import { masterKeyOption } from './repo-options.js';
import { formatSize } from './sizes.js';

const repairOptions = {
  from: {
    flag: '--from',
    value: 'source',
    kind: 'place',
    required: true,
    help: 'another copy of the repository: a URL or a directory',
  },
} as const satisfies OptionRows;

const gcOptions = {
  keep: {
    flag: '--keep',
    value: 'hash|file',
    kind: 'text',
    repeatable: true,
    help: 'root hash that is kept as well, or a file with one on each line',
  },
  yes: {
    flag: '--yes',
    kind: 'flag',
    help: 'remove it; without this it is only told',
  },
} as const satisfies OptionRows;

type CheckFlags = StorageFlags & OptionValues<typeof masterKeyOption>;
type RepairFlags = CheckFlags & OptionValues<typeof repairOptions>;
type GcFlags = StorageFlags & OptionValues<typeof gcOptions>;

const listBytesMax = 16 * 1024 * 1024;
// What is kept in memory on its way; chunks are smaller.
const objectBytesMax = 2 ** 30;

/** @param command makes one that works on a storage. */
export function registerChecks(command: (name: string) => Command): void {
  addOptions(command('check'), masterKeyOption)
    .description('look at everything that the newest revision and all tags reach, byte for byte')
    .action((fqrn: string, flags: CheckFlags) =>
      inStorage(flags, 'read', (storage) => check(storage, fqrn, flags, undefined)),
    );
  addOptions(command('repair'), { ...masterKeyOption, ...repairOptions })
    .description('bring objects that are missing or damaged from another copy')
    .action(repair);
  addOptions(command('gc'), gcOptions)
    .description('tell, or remove, what neither the newest revision nor a tag reaches')
    .action(gc);
}

async function repair(fqrn: string, flags: RepairFlags): Promise<void> {
  await inStorage(flags, 'write', async (storage) => {
    const { openSource } = await import('../../lib/source/open.js');
    const source = openSource(flags.from);
    try {
      await check(storage, fqrn, flags, (path) => source.get(path, objectBytesMax));
    } finally {
      await source.close();
    }
  });
}

async function check(
  storage: Storage,
  fqrn: string,
  flags: CheckFlags,
  fetch: CheckRequest['fetch'],
): Promise<void> {
  const { checkRepository } = await import('../../lib/publish/repository/check.js');
  const { keyFilesOf } = await import('../../lib/publish/repository/keys.js');
  const file = keyFilesOf(fqrn, flags, process.env).public;
  const masterKey = existsSync(file) ? createPublicKey(readGiven(file, 64 * 1024)) : undefined;
  if (masterKey === undefined)
    warn(`there is no ${file}: nothing vouches for who signed the whitelist`);
  const work = (progress: Progress): Promise<RepositoryReport> =>
    checkRepository({
      fqrn,
      storage,
      masterKey,
      now: new Date(),
      fetch,
      progress: ({ reached, bytes }) => {
        progress.update(reached.size, formatSize(bytes), bytes);
      },
    });
  const report = await withProgress('checked', undefined, work, { saysEnd: true });
  for (const { code } of report.problems) noteExit(exitOf(code));
  if (flags.json === true) {
    printJson(report);
    return;
  }
  for (const { what, code, message } of report.problems)
    await print(`${what}: ${printableText(message)} [${code}]\n`);
  await print(
    `${report.objects} objects, ${formatSize(report.bytes)}: ${report.problems.length} problems` +
      (fetch === undefined ? '' : `, ${report.mended} objects brought`) +
      `; ${report.orphans} orphans, ${formatSize(report.orphanBytes)}\n`,
  );
}

async function gc(fqrn: string, flags: GcFlags): Promise<void> {
  await inStorage(flags, 'write', async (storage) => {
    const { collectGarbage } = await import('../../lib/publish/repository/gc.js');
    const { keep: given = [], yes = false } = flags;
    const keep = given.flatMap(hashesOf);
    const stop = startWaiting(yes ? 'removing' : 'looking');
    const garbage = await collectGarbage(storage, fqrn, {
      keep,
      remove: yes,
      now: new Date(),
    }).finally(stop);
    if (flags.json === true) {
      printJson({ ...garbage, removed: yes });
      return;
    }
    const amount = `${garbage.objects} objects, ${formatSize(garbage.bytes)}`;
    await print(
      yes
        ? `${amount} removed, ${garbage.kept} objects kept\n`
        : `${amount} would be removed, ${garbage.kept} objects kept; --yes removes them\n`,
    );
  });
}

/** @throws PinfsError USAGE */
function hashesOf(text: string): string[] {
  if (parseHash(text) !== undefined) return [text];
  let lines: string[];
  try {
    lines = readGiven(text, listBytesMax).toString('utf8').split('\n');
  } catch (cause) {
    throw new PinfsError('USAGE', `${text} is no root hash, nor a file with such ones`, { cause });
  }
  const hashes = lines.map((line) => line.replace(/[\s#].*/, '')).filter((line) => line !== '');
  const wrong = hashes.find((hash) => parseHash(hash) === undefined);
  if (wrong === undefined) return hashes;
  throw new PinfsError('USAGE', `${text} has a line that is no root hash: ${wrong.slice(0, 60)}`);
}
