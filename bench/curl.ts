/** The yardstick: curl that fetches the same objects to files, eight at a time. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { timed } from './process.js';

/** What `curl --config` reads: each object goes to a file of its own. */
export function curlConfig(url: string, objects: readonly string[], target: string): string {
  const lines = objects.map(
    (path, index) => `url = "${url}/${path}"\noutput = "${join(target, String(index))}"\n`,
  );
  return lines.join('');
}

/** @returns milliseconds. */
export async function curl(url: string, objects: readonly string[], work: string): Promise<number> {
  const target = join(work, 'curl');
  const config = join(work, 'curl.config');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  writeFileSync(config, curlConfig(url, objects, target));
  const quiet = ['--no-progress-meter', '--silent', '--show-error', '--fail'];
  const ms = await timed([
    'curl',
    ...quiet,
    '--parallel',
    '--parallel-max',
    '8',
    '--config',
    config,
  ]);
  rmSync(target, { recursive: true });
  return ms;
}
