import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { localSite } from '../../configuration/local-site.js';
import type { Site } from '../../configuration/layers.js';
import type { Environment } from '../open/environment.js';
import type { OpenOptions } from '../open/options.js';

const usualDirectory = '/etc/cvmfs';

/** `--config` and `--set` as the files of a site. @throws PinfsError USAGE */
export function siteOf(
  { config, set = [] }: Pick<OpenOptions, 'config' | 'set'>,
  { variables, random }: Environment,
): Site {
  const given = {
    given: new Map(set.map(assignmentOption)),
    ...(random !== undefined && { random }),
  };
  if (config === undefined) return { ...localSite(usualDirectory, variables), ...given };
  if (isDirectory(config)) return { ...localSite(resolve(config), variables), ...given };
  // As with the reference's `config=`: these files, and no others.
  const onlyFiles = config.split(':').map((path) => resolve(path));
  const missing = onlyFiles.find((path) => !isFile(path));
  if (missing === undefined)
    return { ...localSite(usualDirectory, variables), ...given, onlyFiles };
  throw new PinfsError('USAGE', `--config: ${missing} is not there`, {
    advice: 'Give a directory such as /etc/cvmfs, or files with colons between them.',
  });
}

function assignmentOption(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(0, at));
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return [name, text.slice(at + 1)];
  throw new PinfsError('USAGE', `--set '${text}' sets nothing`, {
    advice: 'Write NAME=VALUE, such as CVMFS_HTTP_PROXY=DIRECT.',
  });
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}
