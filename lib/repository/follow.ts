import { asPinfsError } from '../format/errors.js';
import { openSnapshot } from './open.js';
import { withPresentTrust } from './open/opening.js';
import { refuseBlacklisted } from './open/pinned.js';
import type { Repository } from './repository.js';
import { loadBlacklist } from '../trust/files/blacklist.js';
import { resolveSnapshot } from './open/resolve.js';

/** At most so many seconds are between two questions while the source has no usable head (docs/format.md, 9.8). */
const offlineIntervalSeconds = 180;

/** Seconds until a followed head should be asked for again; undefined for a pin. */
export function nextCheck(repository: Repository): number | undefined {
  if (repository.pinned) return undefined;
  const { maxTtl = Infinity } = repository.opening.options.site ?? {};
  const ttl = Math.min(repository.tree.properties.ttl, maxTtl);
  return repository.verdict.status === 'offline' ? Math.min(offlineIntervalSeconds, ttl) : ttl;
}

/**
 * The blacklist as it is on this machine now, for what is served.
 * @throws PinfsError REVISION_BLACKLISTED, CERTIFICATE_BLACKLISTED; USAGE: it can't be read.
 */
export function refuseBannedSnapshot({ opening, descriptor }: Repository): void {
  const { revision, rootHash } = descriptor.identity;
  const blacklist = loadBlacklist(
    opening.options.blacklist,
    undefined,
    opening.options.site?.blacklist,
  );
  refuseBlacklisted({ ...opening, blacklist }, revision, rootHash);
}

/**
 * Asks for the head again, with the keys and the blacklist that are on this machine now. A new repository on
 * the same store when it moved; the old one is left open, as it may be in use: call its `leave` when nothing
 * is served from it any more. Undefined when it did not move: what is served has the new verdict then, with
 * its dates, and is served on; so does a head that can't be had now ("offline").
 * @throws PinfsError when the head is refused; what is mounted stays as good as it was.
 */
export async function refresh(
  repository: Repository,
  signal = repository.opening.signal,
): Promise<Repository | undefined> {
  if (repository.pinned) return undefined;
  const opening = withPresentTrust(repository.opening);
  const snapshot = await resolveSnapshot(opening, signal);
  if (snapshot.root.object.hash.text === repository.descriptor.identity.rootHash) {
    // Only an attestation asks for the SHA-256, and that is a pin.
    const { properties } = repository.tree;
    const verdict = snapshot.judge({ properties, sha256: () => '' });
    snapshot.record();
    repository.judgedAgain(opening, verdict);
    return undefined;
  }
  try {
    return await openSnapshot(opening, snapshot, signal);
  } catch (error) {
    throw asPinfsError(error);
  }
}
