import type { Environment } from '../../lib/repository/open/environment.js';
import type { OpenOptions } from '../../lib/repository/open/options.js';
import type { Repository } from '../../lib/repository/repository.js';
import type { ByteString } from '../../lib/format/bytes.js';
import type { PinfsError } from '../../lib/format/errors.js';
import { runAction, warn, warnOffline } from './failures.js';
import { openOptions, type SourceFlags } from './options.js';
import { argumentBytes } from './raw-arguments.js';
import { startWaiting, type WorkFacts } from './progress.js';

/** Opens SOURCE[@PIN], runs the body, closes; an offline one is warned of on stderr. */
export async function withRepository(
  source: string,
  flags: SourceFlags,
  body: (repository: Repository) => Promise<void>,
): Promise<void> {
  await runAction(flags, () => whileOpen(source, flags, body));
}

/** The same for two snapshots. */
export async function withRepositories(
  sources: readonly [string, string],
  flags: SourceFlags,
  body: (first: Repository, second: Repository) => Promise<void>,
): Promise<void> {
  await runAction(flags, () =>
    whileOpen(sources[0], flags, (first) =>
      whileOpen(sources[1], flags, (second) => body(first, second)),
    ),
  );
}

/** @throws PinfsError what opening and the body throw. */
async function whileOpen(
  source: string,
  flags: SourceFlags,
  body: (repository: Repository) => Promise<void>,
): Promise<void> {
  const { openRepository } = await import('../../lib/repository/open.js');
  const environment = await tellingEnvironment();
  const opened = startWaiting('opening', placeOf(source));
  const repository = await namedOptions(source, flags, environment)
    .then((options) => openRepository(options, environment))
    .finally(opened);
  try {
    if (flags.verbose === true) await printVerdict(repository);
    warnOffline(repository.verdict);
    tellShortened(repository);
    await body(repository);
  } finally {
    await repository.close();
  }
}

/** Which revision a shortened hash was, for whoever wants to keep it. */
function tellShortened({ opening: { pin }, descriptor: { identity } }: Repository): void {
  if (pin.kind === 'name' && pin.short !== undefined && identity.rootHash.startsWith(pin.short))
    process.stderr.write(`pinfs: @${pin.short} is @${identity.rootHash}\n`);
}

/** What stands on the command line; the name of a repository is looked up in the site's configuration. */
export async function namedOptions(
  source: string,
  flags: SourceFlags,
  environment: Environment,
): Promise<OpenOptions> {
  return await withNames(openOptions(source, flags), environment);
}

/** Likewise, for options that are made already. */
export async function withNames(
  options: OpenOptions,
  environment: Environment,
  how: { readonly fromFstab?: boolean } = {},
): Promise<OpenOptions> {
  const { namedSource } = await import('../../lib/repository/configured/named-source.js');
  return await namedSource(options, environment, how);
}

/** That of the process; what the library has to say is told on stderr. */
export async function tellingEnvironment(): Promise<Environment> {
  const { processEnvironment } = await import('../../lib/repository/open/environment.js');
  const report = ({ code, message, advice, passing }: PinfsError): void => {
    // Of a mirror that is asked for being faster nobody has to be warned.
    if (code !== 'SOURCE_CHANGED' || !passing) warn(message, advice);
  };
  return { ...processEnvironment, report };
}

async function printVerdict(repository: Repository): Promise<void> {
  const { verdictLines } = await import('../../lib/trust/verdict/verdict-text.js');
  for (const line of verdictLines(repository.verdict, { steps: true }))
    process.stderr.write(`${line}\n`);
}

/** Where a source lies, without what may be a secret. */
export function placeOf(source: string): string {
  return URL.canParse(source) ? new URL(source).host : source;
}

/** Whom a work waits for. */
export function waitedFor({ opening, traffic }: Repository): NonNullable<WorkFacts['source']> {
  return { label: opening.source.label, traffic };
}

/** A PATH argument as the bytes of an absolute path. */
export function pathArgument(path: string | undefined): ByteString {
  return argumentBytes(path ?? '/');
}
