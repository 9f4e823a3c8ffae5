import type { Command } from 'commander';
import { printableJson, printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { isoTime } from '../../lib/format/time.js';
import type { OptionValues } from '../../lib/options/option.js';
import type { LoggedRevision } from '../../lib/repository/log.js';
import { runAction, warn, warnOffline } from './failures.js';
import {
  addOptions,
  sourceArgument,
  sourceOptions,
  type CommandOptionRows,
  type SourceFlags,
} from './options.js';
import { print } from './output.js';
import { argumentBytes } from './raw-arguments.js';
import { headLines, rowLine, type Column } from './table.js';
import { namedOptions, tellingEnvironment } from './with-repository.js';

const logOptions = {
  number: {
    flag: '--number',
    short: '-n',
    value: 'n',
    kind: 'number',
    parse: parseNumber,
    help: 'only so many revisions (each untagged one costs a root catalog)',
  },
  fullHash: { flag: '--full-hash', kind: 'flag', help: 'all digits of the root hashes' },
} as const satisfies CommandOptionRows;

type LogFlags = SourceFlags & OptionValues<typeof logOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('log')), logOptions)
    .description(
      `list the revisions of a repository, newest first

Those with tags, and those that no tag names as far as the source still has them: each root catalog names the
one before it. With a PATH only those that changed something at or below it, found from catalogs alone. The
first digits of a hash can stand for it: SOURCE@PIN takes 8 or more.`,
    )
    .summary('list the revisions of a repository, newest first')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'only revisions that changed something at or below it')
    .action(log);
}

/** @throws PinfsError USAGE */
function parseNumber(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new PinfsError('USAGE', `'${text}' is no number of revisions`);
}

async function log(source: string, path: string | undefined, flags: LogFlags): Promise<void> {
  await runAction({ ...flags, jsonLines: true }, async () => {
    const { revisionsOf } = await import('../../lib/repository/log.js');
    const environment = await tellingEnvironment();
    const options = await namedOptions(source, flags, environment);
    const how = {
      opened: warnOffline,
      gap: (behind: number, { code, message }: PinfsError) =>
        code === 'OBJECT_MISSING'
          ? warn(`the source does not have the revision before ${behind} any more`)
          : warn(`what was before revision ${behind} is not known: ${message} [${code}]`),
      ...(path === undefined ? {} : { path: pathOf(path) }),
    };
    let count = 0;
    if (flags.json !== true)
      for (const line of headLines(columnsOf(flags))) await print(`${line}\n`);
    for await (const revision of revisionsOf(options, how, environment)) {
      await print(flags.json === true ? jsonLine(revision) : textLine(revision, flags));
      count += 1;
      if (count === flags.number) break;
    }
  });
}

function pathOf(path: string): string {
  return argumentBytes(path).replace(/\/+$/, '');
}

const shortDigits = 12;

function columnsOf({ fullHash }: LogFlags): readonly Column[] {
  return [
    { head: 'revision', right: true, width: 8 },
    { head: 'published', width: 20 },
    { head: 'root hash', width: fullHash === true ? 40 : shortDigits },
    { head: 'tags', width: 28 },
    { head: 'description' },
  ];
}

function textLine(revision: LoggedRevision, flags: LogFlags): string {
  const { rootHash, tags, published } = revision;
  const [first] = tags.filter(({ description }) => description !== '');
  const hash = flags.fullHash === true ? rootHash : rootHash.slice(0, shortDigits);
  const words = [
    String(revision.revision),
    isoTime(published),
    hash,
    tags.map(({ name }) => printableText(name)).join(', '),
    ...(first === undefined ? [] : [printableText(first.description)]),
  ];
  return `${rowLine(columnsOf(flags), words)}\n`;
}

function jsonLine({ revision, rootHash, published, tags, previous }: LoggedRevision): string {
  const line = {
    ...{ revision, rootHash, published: isoTime(published) },
    tags: tags.map(({ name, description }) => ({ name, description })),
    previous: previous ?? null,
  };
  return `${printableJson(line)}\n`;
}
