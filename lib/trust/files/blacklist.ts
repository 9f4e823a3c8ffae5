import { statSync } from 'node:fs';
import { readGiven } from '../../files/given.js';
import { fileFault } from '../../format/file-fault.js';
import {
  emptyBlacklist,
  minimumRevision,
  parseBlacklist,
  type Blacklist,
} from '../../format/blacklist.js';
import { findFingerprint, type Certificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import { fingerprintText } from '../../format/whitelist.js';

const defaultBlacklist = '/etc/cvmfs/blacklist';
const fileBytesMax = 4 * 1024 * 1024;

/**
 * Reads the blacklist of this machine. Without `given`, the default file, which need not exist.
 * @param ofSite that of a site's config repository, which counts as well
 * @throws PinfsError USAGE: it can't be read. It is never passed over in silence.
 */
export function loadBlacklist(
  given: string | undefined,
  fallback = defaultBlacklist,
  ofSite?: string,
): Blacklist {
  const own = readList(given ?? fallback, given !== undefined);
  const more = ofSite === undefined ? undefined : readList(ofSite, true);
  if (own === undefined && more === undefined) return emptyBlacklist;
  const lines = [own, more].flatMap((bytes) => (bytes === undefined ? [] : [bytes, lineEnd]));
  return parseBlacklist(Buffer.concat(lines));
}

const lineEnd = Buffer.from('\n');

function readList(path: string, isNeeded: boolean): Buffer | undefined {
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined && !isNeeded) return undefined;
    if (stats === undefined) throw new PinfsError('USAGE', `there is no blacklist ${path}`);
    if (!stats.isFile() || stats.size > fileBytesMax) {
      throw new PinfsError('USAGE', `the blacklist ${path} is no file of at most 4 MiB`);
    }
    return readGiven(path, fileBytesMax);
  } catch (cause) {
    if (cause instanceof PinfsError) throw cause;
    throw new PinfsError(
      'USAGE',
      `the blacklist ${path} cannot be read: ${fileFault(cause, 'read').why}`,
      {
        advice: 'name another one with --blacklist FILE',
        cause,
      },
    );
  }
}

/**
 * Whether a snapshot is banned here. Holds for pins as well: for them, what is known of
 * revision and certificate is looked at. Errors: CERTIFICATE_BLACKLISTED, REVISION_BLACKLISTED.
 */
export function blacklistFailure(
  blacklist: Blacklist,
  snapshot: {
    readonly fqrn: string;
    readonly revision: number | undefined;
    readonly certificate: Certificate | undefined;
  },
): PinfsError | undefined {
  const { fqrn, revision, certificate } = snapshot;
  const banned = certificate && findFingerprint(certificate, blacklist.fingerprints);
  if (banned !== undefined) {
    return new PinfsError(
      'CERTIFICATE_BLACKLISTED',
      `the signing certificate ${fingerprintText(banned)} is on the blacklist of this machine`,
    );
  }
  return revision === undefined ? undefined : revisionFailure(blacklist, fqrn, revision);
}

/** Whether a revision is banned here. Error: REVISION_BLACKLISTED. */
export function revisionFailure(
  blacklist: Blacklist,
  fqrn: string,
  revision: number,
): PinfsError | undefined {
  const minimum = minimumRevision(blacklist, fqrn);
  if (revision >= minimum) return undefined;
  return new PinfsError(
    'REVISION_BLACKLISTED',
    `revision ${revision} of ${fqrn} is banned by the blacklist of this machine (below ${minimum})`,
  );
}
