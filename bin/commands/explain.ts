import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import type { ExplainedBelow } from '../../lib/mount/explain.js';
import type { ExplainedObject, Explanation } from '../../lib/repository/use/explain.js';
import { runAction } from './failures.js';
import { sourceOptions, type SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { formatSize } from './sizes.js';
import {
  namedOptions,
  pathArgument,
  tellingEnvironment,
  withRepository,
} from './with-repository.js';

/** Milliseconds that the process of a mount has for its answer. */
const timeoutMs = 5000;

export function register(program: Command): void {
  sourceOptions(program.command('explain'))
    .description(
      `tell why a path can be read, fails or takes long

PATH lies below a mount, which is not touched: its process is asked, and where that does not answer, the cache is looked at. Or, of a snapshot that is not mounted: SOURCE[@PIN] PATH.`,
    )
    .summary('tell why a path can be read, fails or takes long')
    .argument('<path|source@pin>', 'a path below a mount; with a second argument a source')
    .argument('[path]', 'path in the repository')
    .action(explain);
}

async function explain(first: string, second: string | undefined, flags: SourceFlags) {
  if (second !== undefined) {
    await withRepository(first, flags, async (repository) => {
      const { explainPath } = await import('../../lib/repository/use/explain.js');
      await show(explainPath(repository, pathArgument(second)), flags);
    });
    return;
  }
  await runAction(flags, async () => {
    const { explainBelow } = await import('../../lib/mount/explain.js');
    const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
    const { currentMounts } = await import('../../lib/machine/unmount.js');
    const explained = await explainBelow(first, {
      directories: runtimeDirectories(),
      mounts: await currentMounts(),
      timeoutMs,
      fromCache: async (options, path) => {
        const { openRepository } = await import('../../lib/repository/open.js');
        const { explainPath } = await import('../../lib/repository/use/explain.js');
        const environment = await tellingEnvironment();
        const given = await namedOptions(options.source, flags, environment);
        const repository = await openRepository({ ...given, ...options }, environment);
        try {
          return explainPath(repository, path);
        } finally {
          await repository.close();
        }
      },
    });
    await show(explained, flags);
  });
}

const words: Readonly<Record<Explanation['verdict'], string>> = {
  here: 'nothing is in the way',
  slow: 'has to be fetched',
  fails: 'FAILS',
  unknown: 'not known yet',
};

async function show(explained: Explanation | ExplainedBelow, flags: SourceFlags): Promise<void> {
  if (flags.json === true) {
    printJson(explained);
    return;
  }
  const { path, repository, rootHash, type, size, objects, unlisted } = explained;
  const below =
    'process' in explained
      ? [
          `  mount       ${printableText(explained.mountpoint)}${explained.process === 'answered' ? '' : `: its process is ${explained.process === 'dead' ? 'dead' : 'silent'}; this is what the cache has`}`,
        ]
      : [];
  const lines = [
    `${printableText(path)}: ${words[explained.verdict]}: ${printableText(explained.summary)}`,
    ...below,
    `  repository  ${printableText(repository)}, root hash ${rootHash}`,
    ...(type === null
      ? []
      : [
          `  entry       ${type}${size === null || type !== 'file' ? '' : `, ${formatSize(size)}`}`,
        ]),
    ...objects.flatMap(objectLines),
    ...(unlisted === 0 ? [] : [`  and ${unlisted} objects more`]),
  ];
  await print(`${lines.join('\n')}\n`);
}

function objectLines({ role, path, object, bytes, here, outcome, way }: ExplainedObject): string[] {
  const size = role === 'catalog' ? '' : `, ${formatSize(bytes)}`;
  const state = here ? 'here' : 'NOT HERE';
  return [
    `  ${role.padEnd(10)}  ${state}: ${object} of ${printableText(path)}${size}`,
    ...(outcome === null
      ? []
      : [
          outcome.state === 'fetching'
            ? `              is being fetched since ${outcome.since}`
            : `              failed at ${outcome.at}: ${printableText(outcome.message)} [${printableText(outcome.code)}]`,
        ]),
    ...(way === null ? [] : [`              asked would be ${printableText(way)}`]),
  ];
}
