import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/* What a real shell makes of files of configuration, asked as the reference's client asks it. */

export type OracleShell = 'bash' | 'dash';

const commands: Readonly<Record<OracleShell, readonly [string, ...string[]]>> = {
  bash: ['bash', '--posix'],
  dash: ['dash'],
};

/** Whether both shells are there. */
export const hasShells = ['/bin/bash', '/bin/dash'].every((path) => existsSync(path));

export interface OracleAnswer {
  readonly values: ReadonlyMap<string, string>;
  /** Of the shell, as `$$`. */
  readonly processId: number;
}

/** Names that the reference asks for. */
function oracleNames(text: string): string[] {
  return text.split('\n').flatMap((whole) => {
    const line = (whole.split('#')[0] ?? '').trim();
    if (!line.includes('=')) return [];
    const [before = ''] = line.split('=');
    const name = before
      .replace(/^readonly /, '')
      .trim()
      .replace(/^export /, '')
      .trim();
    return name.includes(' ') || name === '' ? [] : [name];
  });
}

/** Feeds a file to a shell, then asks it for each name with `echo`. `$RANDOM` is fixed, and `$$` where that is given. */
export function askShell(
  shell: OracleShell,
  path: string,
  environment: Readonly<Record<string, string>>,
  random: number,
  processId?: number,
): OracleAnswer {
  const file = readFileSync(path, 'latin1');
  const text = processId === undefined ? file : file.replaceAll('$$', () => String(processId));
  const names = oracleNames(text);
  const script = [
    // Once it is unset it is a variable as others are.
    `unset RANDOM; RANDOM=${random}`,
    `cd "${dirname(path)}"`,
    text,
    ...names.flatMap((name) => [`echo $${name}`, 'echo "//next//"']),
    '',
  ].join('\n');
  const [command, ...args] = commands[shell];
  const child = spawnSync(command, args, {
    input: Buffer.from(script, 'latin1'),
    env: environment,
    timeout: 20_000,
  });
  if (child.error !== undefined) throw child.error;
  const answers = child.stdout.toString('latin1').split('//next//\n');
  const values = names.map((name, index) => [name, answers[index]?.split('\n')[0] ?? ''] as const);
  return { values: new Map(values), processId: child.pid };
}

/** The files of a site in the order of the reference, asked one after the other. */
export function askSite(
  shell: OracleShell,
  fqrn: string,
  site: { readonly directory: string; readonly mountDirectory: string },
  random: number,
): Map<string, string> {
  const config = new Map<string, string>();
  const environment: Record<string, string> = { CVMFS_FQRN: fqrn };
  const org = fqrn.split('.')[0] ?? '';
  const repository: { fixed?: string } = {};
  const read = (path: string): void => {
    if (!existsSync(path)) return;
    // As the evaluation of this process has it.
    const { values } = askShell(shell, path, environment, random, process.pid);
    for (const [name, raw] of values) {
      const value = raw.replaceAll('@fqrn@', fqrn).replaceAll('@org@', org);
      if (
        name === 'CVMFS_CONFIG_REPOSITORY' &&
        repository.fixed !== undefined &&
        repository.fixed !== value
      )
        continue;
      config.set(name, value);
      environment[name] = value;
    }
  };
  const { directory } = site;
  const fromRepository = (path: string): void => {
    const { fixed = '' } = repository;
    if (fixed === '' || fixed === fqrn) return;
    read(join(config.get('CVMFS_MOUNT_DIR') ?? '', fixed, 'etc/cvmfs', path));
  };
  const domain = fqrn.split('.').slice(1).join('.');
  read(join(directory, 'default.conf'));
  for (const name of readdirSync(join(directory, 'default.d')).sort())
    read(join(directory, 'default.d', name));
  repository.fixed = config.get('CVMFS_CONFIG_REPOSITORY') ?? '';
  fromRepository('default.conf');
  read(join(directory, 'default.local'));
  fromRepository(`domain.d/${domain}.conf`);
  read(join(directory, 'domain.d', `${domain}.conf`));
  read(join(directory, 'domain.d', `${domain}.local`));
  fromRepository(`config.d/${fqrn}.conf`);
  read(join(directory, 'config.d', `${fqrn}.conf`));
  read(join(directory, 'config.d', `${fqrn}.local`));
  return config;
}
