import { spawnSync } from 'node:child_process';

/** What `pinfs doctor --json` of a compiled checkout prints; empty where it does not run. */
export function doctorText(script: string): string {
  const { stdout } = spawnSync(process.execPath, [script, 'doctor', '--json'], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return stdout;
}
