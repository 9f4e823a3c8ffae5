import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fromText, printable } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { splitSourcePin } from '../../source/source-pin.js';
import type { Environment } from '../open/environment.js';
import type { OpenOptions } from '../open/options.js';

/** A word that can be a repository's name, or that of a directory here. */
const bareWord = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/;

/** What says by itself that it is a directory, or a URL. */
const isPlace = (text: string): boolean => text === '.' || text === '..' || text.includes('/');

/**
 * The options with which SOURCE[@PIN] is opened, where SOURCE may be the name of a repository that a site's files
 * configure: servers, proxies, keys, pin, limits then come from there, unless they are given. A URL or a path is left
 * as it is.
 * @param how with `fromFstab` the name goes before a directory of the place where somebody happens to call mount(8)
 * @throws PinfsError USAGE: nothing fits the word, or two things do; errors of the config repository and of keys
 */
export async function namedSource(
  options: OpenOptions,
  environment: Environment,
  { fromFstab = false } = {},
): Promise<OpenOptions> {
  const { config, set = [], ...plain } = options;
  const { source: word } = splitSourcePin(options.source);
  if (!bareWord.test(word)) {
    if (config === undefined && set.length === 0)
      return isPlace(word) || !isDirectory(word) ? plain : directoryHere(plain, word, environment);
    throw new PinfsError(
      'USAGE',
      '--config and --set are for a SOURCE that is the name of a repository',
      {
        advice: 'Write the name alone, such as software.example.org, or leave them out.',
      },
    );
  }
  // All that a site's files need, and the opening of a config repository, is loaded for a name alone.
  const { siteSource } = await import('./site-source.js');
  const directory = isDirectory(word);
  const ofSite = { isAmbiguous: directory && !fromFstab, isElsewhere: directory };
  const named = await siteSource(
    plain,
    { ...(config !== undefined && { config }), set },
    environment,
    ofSite,
  );
  return named ?? directoryHere(plain, word, environment);
}

/** Told, since it may have been meant as a name; the verdict says so as well. */
function directoryHere(options: OpenOptions, word: string, { report }: Environment): OpenOptions {
  const advice = `Write ./${word}, and this warning goes away.`;
  const name = printable(fromText(word));
  report?.(new PinfsError('USAGE', `${name} is taken for the directory of that name`, { advice }));
  const note = `${name} is the directory ${printable(fromText(resolve(word)))}`;
  return { ...options, source: `./${options.source}`, site: { note, network: {} } };
}

function isDirectory(word: string): boolean {
  return statSync(word, { throwIfNoEntry: false })?.isDirectory() === true;
}
