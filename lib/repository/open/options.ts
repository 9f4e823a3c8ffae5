import type { OptionValues } from '../../options/option.js';
import type { NetworkData } from '../../source/network.js';
import type { sourceOptionTable } from '../../options/source-options.js';

/**
 * How to open SOURCE[@PIN]. Everything but the source has a default. Plain data, so that a daemon can be
 * handed it. Made from the table of options, where a new one goes.
 */
export interface OpenOptions extends OptionValues<typeof sourceOptionTable> {
  /** `SOURCE[@PIN]` as on the command line. */
  readonly source: string;
  /** Where the source was given as the name of a repository. */
  readonly site?: SiteData;
}

/** What a site's files give to the opening of a repository that is known by its name. */
export interface SiteData {
  /** What the name became: for the verdict. */
  readonly note: string;
  /** Whose pin counts, where the files have one: for the verdict, behind the note. */
  readonly pinNote?: string;
  /** A name that the site knows, and that may be meant. */
  readonly nearest?: string;
  /** What no option says. */
  readonly network: Omit<NetworkData, 'mirrors' | 'proxies'>;
  /** What is otherwise for external files (CVMFS_EXTERNAL_…): their other servers, proxies, times. */
  readonly external?: NetworkData;
  /** A copy of the blacklist of the config repository, which counts beside that of this machine. */
  readonly blacklist?: string;
  /** How what is published is shown, where it is not as it is. */
  readonly shown?: ShownFiles;
  /** CVMFS_MAX_TTL: a head that is followed is asked for after so many seconds at the latest. */
  readonly maxTtl?: number;
}

/** Of a site's files: maps of owners and groups (CVMFS_UID_MAP, CVMFS_GID_MAP), by their paths. */
export interface ShownFiles {
  readonly uidMap?: string;
  readonly gidMap?: string;
  /** CVMFS_WORLD_READABLE */
  readonly worldReadable?: boolean;
}
