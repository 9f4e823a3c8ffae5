import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { exitOf, PinfsError } from '../../lib/format/errors.js';
import type { OptionValues } from '../../lib/options/option.js';
import type { Repository } from '../../lib/repository/repository.js';
import type { ObjectKey } from '../../lib/store/key.js';
import type {
  Amount,
  FetchList,
  FetchOptions,
  FetchReport,
} from '../../lib/repository/use/fetch.js';
import type { Entry } from '../../lib/tree/entry.js';
import { noteExit } from './failures.js';
import {
  addOptions,
  sourceArgument,
  sourceOptions,
  type CommandOptionRows,
  type SourceFlags,
} from './options.js';
import { print, printJson } from './output.js';
import { withInterrupt } from './interrupt.js';
import { withProgress, type Progress } from './progress.js';
import { formatSize } from './sizes.js';
import { pathArgument, waitedFor, withRepository } from './with-repository.js';

const jobsMax = 32;

export const jobsOption = {
  jobs: {
    flag: '--jobs',
    value: 'n',
    kind: 'number',
    default: jobsMax,
    parse: parseJobs,
    help: `objects that are fetched at once, 1 to ${jobsMax}`,
  },
} as const satisfies CommandOptionRows;

const fetchOptions = {
  catalogs: {
    flag: '--catalogs',
    kind: 'flag',
    help: 'only the catalogs, not the content of files',
  },
  profile: {
    flag: '--profile',
    value: 'file',
    kind: 'path',
    help: 'only what this profile of a job names, in its order',
  },
  ...jobsOption,
} as const satisfies CommandOptionRows;

type FetchFlags = SourceFlags & OptionValues<typeof fetchOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('fetch')), fetchOptions)
    .description(
      `fetch everything at or below a path into the cache, for later, or for no network

What is here already is not asked for again: a fetch that was interrupted goes on. Where the limit of the
cache is too small, that is said before any content is fetched. What can't be had is listed, and the rest is fetched.`,
    )
    .summary('fetch everything at or below a path into the cache')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'only what is at or below this path', '/')
    .action(fetchCommand);
}

/** @throws PinfsError USAGE */
function parseJobs(text: string): number {
  const jobs = /^\d{1,2}$/.test(text) ? Number(text) : NaN;
  if (jobs >= 1 && jobs <= jobsMax) return jobs;
  throw new PinfsError('USAGE', `'${text}' is no number of jobs`, {
    advice: `Give one from 1 to ${jobsMax}.`,
  });
}

async function fetchCommand(source: string, path: string, flags: FetchFlags): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const began = performance.now();
    const list = await listed(repository, path, flags);
    const report = await fetched(list);
    await finish(repository, report, (performance.now() - began) / 1000, flags);
  });
}

/** Tells how it ended. */
export async function finish(
  repository: Repository,
  report: FetchReport,
  seconds: number,
  flags: SourceFlags,
): Promise<void> {
  for (const { code } of report.problems) noteExit(exitOf(code));
  if (report.notKept > 0) noteExit(exitOf('CACHE_FULL'));
  if (flags.json === true) {
    const endedEarly = report.endedEarly ?? null;
    printJson({ ...report, endedEarly, seconds, trust: repository.verdict });
  } else await tell(report, seconds);
}

/** @throws PinfsError CACHE_FULL: the limit of the cache is too small for it. */
export async function listed(
  repository: Repository,
  path: string,
  flags: FetchFlags,
  noted?: (key: ObjectKey) => void,
): Promise<FetchList> {
  const { walk } = await import('../../lib/repository/use/path.js');
  const { listToFetch } = await import('../../lib/repository/use/fetch.js');
  const start = await walk(repository, pathArgument(path), true);
  const options = {
    catalogsOnly: flags.catalogs === true,
    external: flags.external !== undefined,
    jobs: flags.jobs,
    ...(noted === undefined ? {} : { noted }),
  };
  const list =
    flags.profile === undefined
      ? await withProgress('catalogs', undefined, (progress) =>
          listToFetch(repository, start, options, (catalogs, total) => {
            progress.update(catalogs, amountText(total));
          }),
        )
      : await listedByProfile(repository, start, flags.profile, options);
  refuseTooLarge(list);
  return list;
}

async function listedByProfile(
  repository: Repository,
  start: Entry,
  path: string,
  options: FetchOptions,
): Promise<FetchList> {
  const { readProfileFile } = await import('../../lib/profile/profile-file.js');
  const { listOfProfile } = await import('../../lib/repository/use/fetch.js');
  const profile = readProfileFile(path);
  return withProgress('looked up', profile.uses.length, (progress) =>
    listOfProfile(repository, start, profile, options, (looked, total) => {
      progress.update(looked, amountText(total));
    }),
  );
}

/** What does not fit would push out what was fetched first. @throws PinfsError CACHE_FULL */
function refuseTooLarge({ onDisk, repository }: FetchList): void {
  const { limit } = repository.store.statistics;
  if (onDisk <= limit) return;
  throw new PinfsError(
    'CACHE_FULL',
    `it takes ${formatSize(onDisk)} of the cache, which may have ${formatSize(limit)}: no content was fetched`,
    { advice: '--cache-limit SIZE raises the limit; a PATH fetches only what is below it.' },
  );
}

export async function fetched(list: FetchList): Promise<FetchReport> {
  const { fetchListed } = await import('../../lib/repository/use/fetch.js');
  const { total } = list;
  let last = { objects: 0, bytes: 0 };
  const told = (): string =>
    `${last.objects} of ${amountText(total)} are in the cache; the same command goes on`;
  const work = (progress: Progress): Promise<FetchReport> =>
    fetchListed(list, ({ objects, bytes }) => {
      last = { objects, bytes };
      progress.update(objects, `${formatSize(bytes)} of ${formatSize(total.bytes)}`, bytes);
    });
  const facts = { bytes: total.bytes, source: waitedFor(list.repository) };
  return withInterrupt({ told }, () => withProgress('fetched', total.objects, work, facts));
}

async function tell(report: FetchReport, seconds: number): Promise<void> {
  for (const { path, code, message } of report.problems)
    await print(`${path}: ${printableText(message)} [${code}]\n`);
  const { catalogs, total, done, externalSkipped, notKept, endedEarly } = report;
  const all = done.objects === total.objects ? '' : ` of ${amountText(total)}`;
  const rest = report.problems.length > 0 ? `, ${report.problems.length} problems` : '';
  await print(
    `${catalogs.objects} catalogs, ${amountText(done)}${all} are in the cache (${seconds.toFixed(1)} s)${rest}\n`,
  );
  if (externalSkipped > 0)
    await print(
      `${externalSkipped} external files were left out (--external says where they lie)\n`,
    );
  if (notKept > 0)
    await print(
      `warning: ${formatSize(notKept)} of it are not in the cache any more, or could not be stored\n`,
    );
  if (endedEarly !== undefined) await print(`Not everything was asked for. ${endedEarly}\n`);
}

function amountText({ objects, bytes }: Amount): string {
  return `${objects} objects, ${formatSize(bytes)}`;
}
