import type { Command } from 'commander';
import { fromText, printable } from '../../lib/format/bytes.js';
import { outputOptions, printJson, runAction, type OutputFlags } from './common.js';

interface UmountFlags extends OutputFlags {
  readonly lazy?: boolean;
}

/** Milliseconds that the process of a mount has for unmounting. */
const patience = 30_000;

export function register(program: Command): void {
  outputOptions(program.command('umount'))
    .description('end a mount, also one whose process is dead; says who keeps it busy')
    .argument('<mountpoint>')
    .option('--lazy', 'detach it now, though it is in use')
    .action(async (mountpoint: string, flags: UmountFlags) => {
      await runAction(flags, () => umount(mountpoint, flags));
    });
}

async function umount(mountpoint: string, flags: UmountFlags): Promise<void> {
  const { stopMount } = await import('../../lib/mount/stop.js');
  const { runtimeDirectories } = await import('../../lib/mount/runtime.js');
  const directories = runtimeDirectories();
  const stopped = await stopMount(mountpoint, flags.lazy === true, { directories, patience });
  if (flags.json === true) printJson(stopped);
  else if (flags.verbose === true) {
    const by = stopped.by === 'process' ? 'its own process' : 'the system';
    process.stdout.write(`${printable(fromText(stopped.mountpoint))} unmounted by ${by}\n`);
  }
}
