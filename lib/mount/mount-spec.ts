import { createHash } from 'node:crypto';
import { isAbsolute, resolve } from 'node:path';
import { errorReason } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';
import { mountOptionTable } from '../options/mount-options.js';
import { withPaths } from '../options/rows.js';
import { sourceOptionTable } from '../options/source-options.js';
import { checkGiven } from '../repository/open/environment.js';
import type { OpenOptions } from '../repository/open/options.js';
import { isUrl, splitSourcePin } from '../source/source-pin.js';
import type { MountOptions } from './options.js';

/** What to mount and how, as plain data: it is sent to a daemon as one JSON line. */
export interface MountSpec {
  readonly options: OpenOptions;
  readonly mount: MountOptions;
  /** What the same process mounts besides. */
  readonly others?: readonly Omit<MountSpec, 'others'>[];
}

/** The same for a process whose working directory is `/`. @throws PinfsError USAGE */
export function withAbsolutePaths(
  { options, mount }: MountSpec,
  directory: () => string = workingDirectory,
): MountSpec {
  const path = (what: string, text: string) =>
    isUrl(text) || isAbsolute(text) ? text : resolve(directory(), checkGiven(what, text));
  return {
    options: {
      ...withPaths(sourceOptionTable, options, path),
      source: path('the source', options.source),
    },
    mount: {
      ...withPaths(mountOptionTable, mount, path),
      mountpoint: path('the mountpoint', mount.mountpoint),
    },
  };
}

/** Asked for only where a path is relative: it may lie in a mount that is gone. @throws PinfsError USAGE */
function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (thrown) {
    throw new PinfsError('USAGE', `the working directory can't be used: ${errorReason(thrown)}`, {
      advice: 'Go to another one, or give absolute paths.',
    });
  }
}

/**
 * A digest of each option, by which two mounts can be compared without keeping what is secret in
 * them. Where it is mounted is left out, and what only changes the words.
 */
export function optionDigests({ options, mount }: MountSpec): Readonly<Record<string, string>> {
  const told = new Set(['mountpoint', 'place', 'ownPlace', 'verbose']);
  const { site, ...others } = options;
  // The pin is part of the source; `fsname` may show it, and keeps what it showed when the mount gets another.
  const fsname = mount.fsname === undefined ? undefined : withoutPin(mount.fsname);
  const { network, shown } = site ?? {};
  const values = { ...others, site: network, shown, ...mount, fsname };
  const entries = Object.entries<unknown>(values).filter(
    ([name, value]) => value !== undefined && !told.has(name),
  );
  return Object.fromEntries(
    entries.map(([name, value]) => [name, digestOf(JSON.stringify(value))]),
  );
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** What stands in front of the `@`. What has a scheme that is none of ours stays as it is. */
export function withoutPin(source: string): string {
  try {
    return splitSourcePin(source).source;
  } catch {
    return source;
  }
}

/** A source for people, before it is parsed: credentials of a URL are left out. */
export function shownSource(source: string): string {
  return isUrl(source) ? source.replace(/^([^/]*\/\/)[^/]*@/, '$1') : source;
}
