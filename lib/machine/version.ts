import { readFileSync } from 'node:fs';

/** The version in package.json, which lies beside the folder of the compiled files. */
export const version = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const found: unknown = (JSON.parse(text) as Record<string, unknown>)['version'];
  return typeof found === 'string' ? found : 'unknown';
}
