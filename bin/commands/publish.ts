import { join } from 'node:path';
import type { Command } from 'commander';
import { printable, printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionValues } from '../../lib/options/option.js';
import type { InputAmount } from '../../lib/publish/input/amount.js';
import type { TreeChange } from '../../lib/publish/catalogs/changes.js';
import type { ChunkSizes } from '../../lib/publish/objects/content.js';
import type { PublishPlace, PublishReport } from '../../lib/publish/publish.js';
import { noteExit, runAction, warn } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { progressing } from './look.js';
import { withProgress, type Progress } from './progress.js';
import { signingKeyOption, storageOptions } from './repo-options.js';
import { formatSize, parseSize } from './sizes.js';

const publishOptions = {
  from: {
    flag: '--from',
    value: 'tree',
    kind: 'path',
    repeatable: true,
    help: 'directory or tar archive (.gz, .zst, .xz; - for standard input) to publish',
    manual:
      'A directory, or a tar archive (also packed by gzip, zstd or xz; `-` is one from the standard input). What is at ' +
      '`--at` becomes what it holds, and nothing else; several are laid over each other.',
  },
  at: {
    flag: '--at',
    value: 'path',
    kind: 'text',
    help: 'where in the repository (default: its root)',
  },
  deletes: {
    flag: '--delete',
    value: 'path',
    kind: 'text',
    repeatable: true,
    help: 'take this path out of the repository',
  },
  tag: {
    flag: '--tag',
    value: 'name',
    kind: 'text',
    help: 'name of the new revision',
    manual:
      'Name of the new revision, for ever: another revision never gets it. Without it the name is `generic-` and the time.',
  },
  message: {
    flag: '--message',
    value: 'text',
    kind: 'text',
    help: 'what the tag says of the revision',
  },
  keepGoing: {
    flag: '--keep-going',
    kind: 'flag',
    help: 'leave what can not be read as it was, and publish the rest',
  },
  compression: {
    flag: '--compression',
    value: 'how',
    kind: 'choice',
    choices: ['zlib', 'none'],
    default: 'zlib',
    help: 'how new content is stored',
  },
  hash: {
    flag: '--hash',
    value: 'algorithm',
    kind: 'choice',
    choices: ['sha1', 'rmd160', 'shake128'],
    help: 'hash of new objects (default: that of the repository)',
  },
  chunkSizes: {
    flag: '--chunk-sizes',
    value: 'min/avg/max',
    kind: 'text',
    help: 'sizes of the chunks of large files, or off (default: 4M/8M/16M)',
  },
  wholeFileHash: {
    flag: '--whole-file-hash',
    kind: 'flag',
    help: 'store files that are chunked a second time, as a whole',
  },
  external: {
    flag: '--external',
    value: 'url',
    kind: 'text',
    help: 'store no content: readers get it from this server',
    manual:
      'Store no content, only its hashes: readers get it from this server, at the path in the repository (`pinfs mount --external`).',
  },
  mtimeNs: {
    flag: '--mtime-ns',
    kind: 'flag',
    help: 'keep the nanoseconds of times',
  },
  dryRun: {
    flag: '--dry-run',
    kind: 'flag',
    help: 'only show what would change, and how many bytes',
  },
  checksum: {
    flag: '--checksum',
    kind: 'flag',
    help: 'read all files, also those that look as they did when last published',
  },
  crossDirectoryLinks: {
    flag: '--cross-directory-links',
    kind: 'flag',
    help: 'keep hard links between directories',
    manual:
      'Keep hard links between directories of one catalog; else names of a file in several directories become several files.',
  },
} as const satisfies CommandOptionRows;

type PublishFlags = OutputFlags &
  OptionValues<typeof storageOptions> &
  OptionValues<typeof signingKeyOption> &
  OptionValues<typeof publishOptions>;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('publish')), {
    ...storageOptions,
    ...publishOptions,
    ...signingKeyOption,
  })
    .description('publish directories and archives as a new revision of a repository')
    .argument('<fqrn>', 'fully qualified name of the repository, such as demo.example.org')
    .action(publishCommand);
}

async function publishCommand(fqrn: string, flags: PublishFlags): Promise<void> {
  await runAction(flags, async () => {
    const { from = [], deletes = [], tag, message, chunkSizes, hash, external } = flags;
    if (from.length === 0 && deletes.length === 0) {
      const advice = 'Say what to publish with --from, or what to take out with --delete.';
      throw new PinfsError('USAGE', 'there is nothing to publish', { advice });
    }
    if (message !== undefined && tag === undefined)
      throw new PinfsError('USAGE', '--message is that of a tag: name it with --tag');
    const { publish } = await import('../../lib/publish/publish.js');
    const place = await publishPlace(fqrn, flags);
    const { dataDirectory } = await import('../../lib/machine/places.js');
    const changes: TreeChange[] = [];
    const total = await inputAmount(from);
    const ofBytes = total === undefined ? '' : ` of ${formatSize(total.bytes)}`;
    const work = (progress: Progress): Promise<PublishReport> =>
      publish({
        ...place,
        from,
        deletes,
        at: flags.at,
        tag: tag === undefined ? undefined : { name: tag, message: message ?? '' },
        compression: flags.compression,
        algorithm: hash,
        chunkSizes: chunkSizes === undefined ? undefined : parseChunkSizes(chunkSizes),
        wholeFileHash: flags.wholeFileHash,
        external: external !== undefined,
        mtimeNs: flags.mtimeNs,
        crossDirectoryLinks: flags.crossDirectoryLinks,
        keepGoing: flags.keepGoing,
        checksum: flags.checksum,
        stateDirectory: join(dataDirectory('state', process.env), 'publish'),
        dryRun: flags.dryRun === true ? (change) => changes.push(change) : undefined,
        progress: ({ entries, bytes }) =>
          progress.update(entries, formatSize(bytes) + ofBytes, bytes),
      });
    const facts = { bytes: total?.bytes, saysEnd: true } as const;
    const report = await withProgress('published', total?.entries, work, facts);
    for (const { path, error } of report.leftOut) {
      warn(`${printable(path) || '/'}: ${error.message}`);
      noteExit(error.exit);
    }
    if (flags.json === true) printJson({ ...jsonOf(report), changes: changes.map(changeText) });
    else if (flags.dryRun === true) await printChanges(changes, report);
    else process.stdout.write(textOf(report, external));
  });
}

// A person who waits for the first line had rather have no total.
const countingMs = 2000;

/** How much there is to publish, where somebody is told how much is left. */
async function inputAmount(from: readonly string[]): Promise<InputAmount | undefined> {
  if (from.length === 0 || progressing() === 'none') return undefined;
  const { amountOf } = await import('../../lib/publish/input/amount.js');
  return amountOf(from, countingMs);
}

/** Where a repository lies, its key read. @throws PinfsError KEY_MALFORMED, USAGE */
export async function publishPlace(
  fqrn: string,
  flags: OptionValues<typeof storageOptions> & OptionValues<typeof signingKeyOption>,
): Promise<PublishPlace> {
  const { keyFilesOf, readSecretRsaKey } = await import('../../lib/publish/repository/keys.js');
  const { signing } = keyFilesOf(fqrn, flags, process.env);
  const key = readSecretRsaKey(signing, signingKeyOption.signingKey.flag);
  return { fqrn, storage: flags.storage, key, time: givenTime(process.env['SOURCE_DATE_EPOCH']) };
}

/** The time of the revision where the environment says it, as builds that can be repeated have it. @throws PinfsError USAGE */
function givenTime(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^[0-9]{1,11}$/.test(text)) return Number(text);
  throw new PinfsError('USAGE', 'the variable SOURCE_DATE_EPOCH is no number of seconds');
}

/** @throws PinfsError USAGE */
function parseChunkSizes(text: string): ChunkSizes | 'off' {
  if (text === 'off') return text;
  const [min, average, max, more] = text.split('/').map(parseSize);
  if (min === undefined || average === undefined || max === undefined || more !== undefined)
    throw new PinfsError('USAGE', '--chunk-sizes are three sizes, as in 4M/8M/16M, or off');
  return { min, average, max };
}

function jsonOf(report: PublishReport) {
  const { rootHash, previous, leftOut, counts, ...rest } = report;
  const { files, bytes, newObjects, newBytes, knownObjects } = counts;
  return {
    ...rest,
    ...{ files, bytes, newObjects, newBytes, knownObjects },
    rootHash: rootHash.text,
    previous: previous.text,
    leftOut: leftOut.map(({ path, error }) => ({ path: printable(path), code: error.code })),
  };
}

const marks = { added: '+', removed: '-', changed: '~' } as const;

function changeText({ path, kind }: TreeChange): string {
  return `${marks[kind]} ${printable(path)}`;
}

async function printChanges(
  changes: readonly TreeChange[],
  { counts }: PublishReport,
): Promise<void> {
  for (const change of changes) await print(`${changeText(change)}\n`);
  const size = formatSize(counts.newBytes);
  await print(
    `${changes.length} entries; ${counts.newObjects} new objects (${size}); not published\n`,
  );
}

function textOf(report: PublishReport, external: string | undefined): string {
  const { fqrn, revision, rootHash, tag, counts } = report;
  const name = tag === undefined ? '' : `, tag ${tag}`;
  if (report.isUnchanged) return `${fqrn}: nothing changed, revision ${revision}${name}\n`;
  return (
    `${fqrn}: revision ${revision}${name}, ${rootHash.text}\n` +
    `${report.entries} entries read; ${counts.newObjects} new objects (${formatSize(counts.newBytes)})\n` +
    (external === undefined
      ? ''
      : `Readers get the content with: --external ${printableText(external)}\n`)
  );
}
