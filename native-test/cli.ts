import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { checkout } from '../lib/testing/genuine.js';
import { program } from '../lib/testing/program.js';

/** The command line. */
export const script = program;

export const fixtures = join(checkout, 'native-test', 'fixtures');
export const fixtureKey = join(fixtures, 'analysis.example.org.pub');

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `pinfs` as a user would; ended by force after a minute. */
export async function pinfs(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return await new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: 60_000, maxBuffer: 64 * 2 ** 20 };
    execFile(process.execPath, [script, ...args], options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
      resolve({ code, stdout, stderr });
    });
  });
}

export async function pinfsOrThrow(args: readonly string[]): Promise<CliResult> {
  const result = await pinfs(args);
  if (result.code !== 0)
    throw new Error(`pinfs ${args.join(' ')} ended with ${result.code}: ${result.stderr}`);
  return result;
}

/**
 * Runs a shell command inside a mount. Not by `cwd`, nor by starting a program of the mount: Node waits,
 * blocked, until a child has entered its directory and is executed, and what it waits for may need Node.
 */
export async function inside(mountpoint: string, command: string): Promise<string> {
  const args = ['-c', `cd "$0" && ${command}`, mountpoint];
  return (await promisify(execFile)('sh', args, { maxBuffer: 64 * 2 ** 20 })).stdout;
}

/** What `bin/analyse` of a mounted snapshot prints. */
export async function analyse(mountpoint: string): Promise<string> {
  return await inside(mountpoint, 'exec bin/analyse');
}
