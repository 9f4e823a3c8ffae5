import { execFile } from 'node:child_process';
import { script, type CliResult } from './cli.js';

/** A limit as `ulimit` takes it: `-v` in KiB of address space, `-n` in open files. */
export type Limit = readonly ['-v' | '-n', number];

/** Runs `pinfs` as a user would whose shell set a limit, soft and hard; no core is left behind. */
export async function limitedPinfs(
  [name, value]: Limit,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return await new Promise((resolve) => {
    const words = [
      '-c',
      `ulimit -c 0; ulimit ${name} ${value}; exec "$0" "$@"`,
      process.execPath,
      script,
      ...args,
    ];
    const options = { env: { ...process.env, ...env }, timeout: 120_000, maxBuffer: 64 * 2 ** 20 };
    execFile('sh', words, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}
