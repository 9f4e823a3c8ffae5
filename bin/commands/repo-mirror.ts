import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { exitOf, PinfsError } from '../../lib/format/errors.js';
import type { OptionValues } from '../../lib/options/option.js';
import type { MirrorReport, MirrorRequest } from '../../lib/publish/mirror/mirror.js';
import type { Opening } from '../../lib/repository/open/opening.js';
import { noteExit, runAction, warnOffline } from './failures.js';
import { jobsOption } from './fetch.js';
import { holding } from './in-storage.js';
import { withInterrupt } from './interrupt.js';
import { addOptions, sourceOptions, type CommandOptionRows, type SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { storageOptions } from './repo-options.js';
import { formatSize } from './sizes.js';
import { namedOptions, tellingEnvironment } from './with-repository.js';

const mirrorOptions = {
  tags: {
    flag: '--tag',
    value: 'name',
    kind: 'text',
    repeatable: true,
    help: 'only the head and the snapshots of such tags',
  },
  newest: {
    flag: '--newest',
    value: 'n',
    kind: 'number',
    parse: parseNewest,
    help: 'only the head and the newest n snapshots that have a tag',
    manual:
      'Only the head and the newest <n> snapshots that have a tag; with `--tag` these as well. What the storage has of ' +
      'others stays there.',
  },
  ...jobsOption,
} as const satisfies CommandOptionRows;

type MirrorFlags = SourceFlags &
  OptionValues<typeof storageOptions> &
  OptionValues<typeof mirrorOptions>;

/** Adds `repo mirror`. */
export function registerMirror(repo: Command): void {
  addOptions(sourceOptions(repo.command('mirror')), { ...storageOptions, ...mirrorOptions })
    .description(
      `copy a repository for other readers, or bring the copy up to date

The head and the snapshot of each tag, verified, as they are published; any web server can serve it. The manifest
comes last: until then readers see the state before, and after an interruption the same command goes on.`,
    )
    .summary('copy a repository for other readers, or bring the copy up to date')
    .argument('<source>', 'URL, directory or name of the repository')
    .action(mirror);
}

/** @throws PinfsError USAGE */
function parseNewest(text: string): number {
  if (/^(0|[1-9][0-9]{0,5})$/.test(text)) return Number(text);
  throw new PinfsError('USAGE', '--newest is a number of snapshots');
}

async function mirror(source: string, flags: MirrorFlags): Promise<void> {
  await runAction(flags, async () => {
    const { prepare } = await import('../../lib/repository/open/opening.js');
    const { mirrorRepository } = await import('../../lib/publish/mirror/mirror.js');
    const environment = await tellingEnvironment();
    const opening = await prepare(await namedOptions(source, flags, environment), environment);
    try {
      await holding(flags.storage, 'write', async (storage) => {
        const began = performance.now();
        const report = await mirrorRepository({ opening, storage, ...requestOf(opening, flags) });
        warnOffline(report.trust);
        await tell(report, (performance.now() - began) / 1000, flags);
      });
    } finally {
      await opening.close();
    }
  });
}

function requestOf(
  opening: Opening,
  { tags = [], newest, jobs }: MirrorFlags,
): Omit<MirrorRequest, 'opening' | 'storage'> {
  const source = { label: opening.source.label, traffic: opening.source.traffic };
  let told = 'catalogs are being looked for';
  const goesOn = (): string => `${told}; the same command goes on`;
  return {
    selection: { tags, newest },
    jobs,
    planning: (body) =>
      withInterrupt({ told: goesOn }, () =>
        withProgress('catalogs', undefined, (progress) =>
          body(({ catalogs, total }) => {
            progress.update(catalogs, amountText(total));
          }),
        ),
      ),
    bringing: ({ total }, body) =>
      withInterrupt({ told: goesOn }, () =>
        withProgress(
          'copied',
          total.objects,
          (progress) =>
            body(({ objects, bytes }) => {
              told = `${objects} of ${amountText(total)} are there`;
              progress.update(objects, `${formatSize(bytes)} of ${formatSize(total.bytes)}`, bytes);
            }),
          { bytes: total.bytes, source, saysEnd: true },
        ),
      ),
  };
}

function amountText({ objects, bytes }: { readonly objects: number; readonly bytes: number }) {
  return `${objects} objects, ${formatSize(bytes)}`;
}

async function tell(report: MirrorReport, seconds: number, { json }: MirrorFlags): Promise<void> {
  for (const { code } of report.problems) noteExit(exitOf(code));
  if (json === true) {
    const { published = null, endedEarly = null } = report;
    printJson({ ...report, published, endedEarly, seconds });
    return;
  }
  for (const { what, code, message } of report.problems)
    await print(`${what}: ${printableText(message)} [${code}]\n`);
  const { fqrn, storage, revision, rootHash, snapshots, brought } = report;
  if (!report.isWhole) {
    await print(
      `${fqrn} in ${storage} is as it was: ${report.problems.length} problems; ${amountText(brought)} are new there, and the same command goes on\n`,
    );
    if (report.endedEarly !== undefined)
      await print(`Not everything was asked for. ${printableText(report.endedEarly)}\n`);
    return;
  }
  await print(
    `${fqrn} in ${storage}: revision ${revision}, ${rootHash}\n` +
      `${snapshots} snapshots; ${amountText(brought)} are new (${seconds.toFixed(1)} s)\n`,
  );
}
