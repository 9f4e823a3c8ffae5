import type { Command } from 'commander';
import { mountOptions } from '../../lib/mount/options.js';
import { mountOptionTable } from '../../lib/options/mount-options.js';
import type { OptionValues } from '../../lib/options/option.js';
import { valuesOf } from '../../lib/options/rows.js';
import { runAction, warnOffline } from './failures.js';
import {
  addOptions,
  openOptions,
  sourceArgument,
  sourceOptions,
  type SourceFlags,
} from './options.js';
import { print, printJson } from './output.js';
import { startWaiting } from './progress.js';
import { placeOf, tellingEnvironment, withNames } from './with-repository.js';

const { driver, idle, ahead, noXattrs, log, logLevel } = mountOptionTable;
const openRows = { driver, idle, ahead, noXattrs, log, logLevel } as const;

/** Milliseconds. */
const idleUsual = 900_000;

type OpenFlags = SourceFlags & OptionValues<typeof openRows>;

const description = `print where a snapshot can be looked at, mounted if it is not yet

A snapshot has one place, $XDG_RUNTIME_DIR/pinfs/mounts/NAME@PIN or ~/pinfs/NAME@PIN, whoever asks
for it again. Its mount ends by itself when nobody has used it for a while.`;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('open'), 'mount'), openRows)
    .description(description)
    .summary('print where a snapshot can be looked at, mounted if it is not yet')
    .argument('<source[@pin]>', sourceArgument)
    .action(async (source: string, flags: OpenFlags) => {
      await runAction(flags, () => open(source, flags));
    });
}

async function open(source: string, flags: OpenFlags): Promise<void> {
  const { openAtPlace } = await import('../../lib/mount/open/open.js');
  const environment = await tellingEnvironment();
  const options = await withNames(openOptions(source, flags), environment);
  const mount = {
    ...mountOptions({ mountpoint: '/' }),
    ...valuesOf(openRows, { ...flags, idle: flags.idle ?? idleUsual }),
    ...(options.deadline === undefined ? {} : { deadline: options.deadline }),
  };
  const { env: variables } = process;
  const uid = process.getuid?.() ?? 0;
  const opening = startWaiting('opening', placeOf(options.source));
  const opened = await openAtPlace(options, mount, { environment, variables, uid }).finally(
    opening,
  );
  const { mountpoint, wasThere, status } = opened;
  warnOffline(status.verdict);
  if (flags.json === true) printJson({ mountpoint, wasThere, status });
  else await print(`${mountpoint}\n`);
}
