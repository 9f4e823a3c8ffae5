import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { valuesOf } from '../../lib/options/rows.js';
import type { OpenOptions } from '../../lib/repository/open/options.js';
import { edit, ownLayer, path } from './config-own.js';
import { noteExit, runAction, warn } from './failures.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { tableLines, type Column } from './table.js';
import { tellingEnvironment } from './with-repository.js';

const { config, set, cache, offline, proxy } = sourceOptionTable;

/** What the configuration is read with; the config repository needs a cache, as others do. */
const configOptions = {
  config: {
    ...config,
    help: "the site's configuration, in place of /etc/cvmfs",
    manual: undefined,
  },
  set,
  proxy,
  cache,
  offline,
} as const satisfies OptionRows;

const checkOptions = {
  probe: {
    flag: '--probe',
    kind: 'flag',
    help: 'ask the servers as well, through each proxy',
  },
} as const satisfies OptionRows;

type ConfigFlags = OutputFlags & OptionValues<typeof configOptions>;
type CheckFlags = ConfigFlags & OptionValues<typeof checkOptions>;

export function register(program: Command): void {
  const command = program
    .command('config')
    .description("pinfs's own settings, and a site's configuration");
  configCommand(command.command('show'))
    .description('each setting and its origin; for a repository each value of the site as well')
    .argument('[fqrn]', "name of a repository; without it pinfs's own settings alone")
    .action(show);
  outputOptions(command.command('path'))
    .description('where the settings of this user lie')
    .action(path);
  outputOptions(command.command('edit'))
    .description('open the settings of this user in $VISUAL or $EDITOR')
    .action(edit);
  addOptions(configCommand(command.command('check')), checkOptions)
    .description("what is wrong with a site's files; exit code 1 if something would not work")
    .argument('[fqrn]', 'name of a repository; without it each one that the files configure')
    .action(check);
}

function configCommand(command: Command): Command {
  return addOptions(outputOptions(command), configOptions);
}

function readWith(flags: ConfigFlags): OpenOptions {
  return { ...valuesOf(configOptions, flags), source: '' };
}

async function show(fqrn: string | undefined, flags: ConfigFlags, command: Command): Promise<void> {
  await runAction(flags, async () => {
    const { ownRows } = await import('../../lib/settings/show.js');
    const own = await ownLayer(command);
    const rows = ownRows(own.settings, own.sources, own.mounts);
    if (fqrn === undefined) {
      if (flags.json === true) printJson({ own });
      else await printTable(rows);
      return;
    }
    const { siteConfiguration } = await import('../../lib/repository/configured/check-site.js');
    const { siteRows, shownSettings } = await import('../../lib/configuration/show.js');
    const environment = await tellingEnvironment();
    const configuration = await siteConfiguration(fqrn, readWith(flags), environment);
    const settings = shownSettings(configuration);
    const { files, problems } = configuration;
    if (flags.json === true) {
      printJson({ fqrn: configuration.fqrn, files, settings, problems, own });
      return;
    }
    await printTable([...rows, ...siteRows(settings)]);
    for (const { file, line, text, mend } of problems) warn(`${file}:${line}: ${text}`, mend);
  });
}

const showColumns: readonly Column[] = [
  { head: 'setting' },
  { head: 'value' },
  { head: 'from' },
  { head: 'note' },
];

async function printTable(rows: readonly (readonly string[])[]): Promise<void> {
  const shown = rows.map((cells) => cells.map(printableText));
  for (const line of tableLines(showColumns, shown)) await print(`${line}\n`);
}

async function check(fqrn: string | undefined, flags: CheckFlags): Promise<void> {
  await runAction(flags, async () => {
    const { checkSite, probeSite } = await import('../../lib/repository/configured/check-site.js');
    const { originText } = await import('../../lib/configuration/show.js');
    const environment = await tellingEnvironment();
    const findings = await checkSite(fqrn, readWith(flags), environment);
    if (flags.probe === true)
      findings.push(...(await probeSite(fqrn, readWith(flags), environment)));
    const errors = findings.filter(({ severity }) => severity === 'error').length;
    noteExit(errors > 0 ? 1 : 0);
    if (flags.json === true) {
      printJson({ findings, errors, warnings: findings.length - errors });
      return;
    }
    for (const { severity, origin, text, mend } of findings) {
      const where = origin === null ? '' : `${originText(origin)}: `;
      await print(`${printableText(`${where}${severity}: ${text}`)}\n`);
      if (mend !== '') await print(`    ${printableText(mend)}\n`);
    }
    await print(`${errors} errors, ${findings.length - errors} warnings\n`);
  });
}
