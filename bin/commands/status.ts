import type { Command } from 'commander';
import { fromText, printable } from '../../lib/format/bytes.js';
import type { ListedMount } from '../../lib/mount/list.js';
import { formatSize, outputOptions, printJson, runAction, type OutputFlags } from './common.js';

/** Milliseconds that the process of a mount has for its answer. */
const patience = 3000;

export function register(program: Command): void {
  outputOptions(program.command('status'))
    .description('the mounts of this user: trust, hit rates, bytes, errors by name')
    .action(async (flags: OutputFlags) => {
      await runAction(flags, () => status(flags));
    });
}

async function status(flags: OutputFlags): Promise<void> {
  const { listMounts } = await import('../../lib/mount/list.js');
  const { mountHealth } = await import('../../lib/mount/mountpoint.js');
  const { runtimeDirectories } = await import('../../lib/mount/runtime.js');
  const { currentMounts } = await import('../../lib/drivers/unmount.js');
  const mounts = await listMounts({
    directories: runtimeDirectories(),
    mounts: await currentMounts(),
    uid: process.getuid?.() ?? 0,
    health: mountHealth,
    patience,
  });
  if (flags.json === true) {
    printJson({ mounts });
    return;
  }
  const { statusLines } = await import('../../lib/mount/status.js');
  const texts = mounts.map((mount) =>
    mount.status === null ? bareLines(mount) : statusLines(mount.status, formatSize),
  );
  const shown = texts.map((lines) => `${lines.join('\n')}\n`).join('\n');
  process.stdout.write(mounts.length === 0 ? 'no pinfs mounts\n' : shown);
}

const stateWords: Readonly<Record<ListedMount['state'], string>> = {
  starting: 'being mounted',
  running: 'running, by another version of pinfs',
  stopping: 'unmounted; its last users have not left yet',
  stale: 'stale: its process is dead; pinfs umount removes it',
  silent: 'its process does not answer; pinfs umount --lazy removes it',
  other: 'served by a process that has no control socket here',
};

function bareLines(mount: ListedMount): string[] {
  const clean = (text: string) => printable(fromText(text));
  return [
    clean(mount.mountpoint),
    `  state       ${stateWords[mount.state]}`,
    ...(mount.source === null ? [] : [`  source      ${clean(mount.source)}`]),
    ...(mount.pid === null
      ? []
      : [`  process     ${mount.pid}, since ${mount.since ?? 'unknown'}`]),
  ];
}
