import { readFileSync } from 'node:fs';
import { jsonField, parseJson } from '../format/schema.js';

/** The version in package.json, which lies beside the folder of the compiled files. */
export const version = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const found = jsonField(parseJson(text), 'version');
  return typeof found === 'string' ? found : 'unknown';
}
