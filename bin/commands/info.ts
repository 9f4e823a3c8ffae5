import type { Command } from 'commander';
import { withOldNames } from '../../lib/format/renamed.js';
import { isoTime } from '../../lib/format/time.js';
import { printableText } from '../../lib/format/bytes.js';
import type { Inspection } from '../../lib/repository/inspect.js';
import { errorJson, reportError, runAction, warnOffline } from './failures.js';
import { paintedStatus } from './look.js';
import { sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { startWaiting } from './progress.js';
import { tableLines, tagColumns } from './table.js';
import { namedOptions, placeOf, tellingEnvironment } from './with-repository.js';

export function register(program: Command): void {
  sourceOptions(program.command('info'))
    .description('what a snapshot is, and why it is to be trusted or not')
    .argument('<source[@pin]>', sourceArgument)
    .action(info);
  sourceOptions(program.command('tags'))
    .description('the named snapshots of a repository, newest first')
    .argument('<source>', 'URL or directory of a repository')
    .action(tags);
}

async function info(source: string, flags: SourceFlags): Promise<void> {
  await inspectAnd(source, flags, async (inspection) => {
    if (flags.json === true) {
      const facts = withOldNames(inspection.facts, oldFacts);
      printJson({ ...facts, trust: inspection.verdict, error: failureJson(inspection) });
      return;
    }
    const { verdictLines } = await import('../../lib/trust/verdict/verdict-text.js');
    // The verdict says the rest.
    const alone = ['source', 'schema', 'ttlSeconds', 'membershipNeeded'];
    if (inspection.verdict.published === undefined) alone.push('published');
    const lines = Object.entries(inspection.facts)
      .filter(([name, value]) => value !== null && alone.includes(name))
      .map(([name, value]) => `${`${wordsOf(name)}:`.padEnd(14)}${shown(value)}`);
    const [first = '', ...more] = verdictLines(inspection.verdict, {
      steps: flags.verbose === true,
    });
    const all = [paintedStatus(first, inspection.verdict.status), ...lines, ...more];
    await print(`${all.join('\n')}\n`);
  });
}

// As they were called in 0.1.
const oldFacts = {
  root_hash: 'rootHash',
  ttl_seconds: 'ttlSeconds',
  certificate_fingerprint: 'certificateFingerprint',
  whitelist_created: 'whitelistCreated',
  whitelist_expires: 'whitelistExpires',
  membership_needed: 'membershipNeeded',
};

/** `ttlSeconds`: `ttl seconds`. */
function wordsOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

async function tags(source: string, flags: SourceFlags): Promise<void> {
  await inspectAnd(source, flags, async (inspection) => {
    if (flags.json === true) {
      const { verdict: trust } = inspection;
      const tags = inspection.tags?.map((tag) => ({ ...tag, time: isoTime(tag.timestamp) }));
      printJson({ tags: tags ?? null, trust, error: failureJson(inspection) });
      return;
    }
    const rows = (inspection.tags ?? []).map((tag) => [
      printableText(tag.name),
      String(tag.revision),
      isoTime(tag.timestamp),
      printableText(tag.hash),
      printableText(tag.description),
    ]);
    for (const line of tableLines(tagColumns, rows)) await print(`${line}\n`);
  });
}

/** Prints what there is, then the failure: its exit code stands, but what could be read is shown. */
async function inspectAnd(
  source: string,
  flags: SourceFlags,
  print: (inspection: Inspection) => Promise<void>,
): Promise<void> {
  await runAction(flags, async () => {
    const { inspectSource } = await import('../../lib/repository/inspect.js');
    const opened = startWaiting('asking', placeOf(source));
    const environment = await tellingEnvironment();
    const inspection = await namedOptions(source, flags, environment)
      .then((options) => inspectSource(options, environment))
      .finally(opened);
    // What is listed may be the last that was verified here: who reads it should know.
    warnOffline(inspection.verdict);
    await print(inspection);
    if (inspection.failure === undefined) return;
    process.exitCode =
      flags.json === true ? inspection.failure.exit : reportError(inspection.failure, flags);
  });
}

function failureJson({ failure }: Inspection): unknown {
  return failure === undefined ? null : errorJson(failure);
}

function shown(value: unknown): string {
  return printableText(String(value));
}
