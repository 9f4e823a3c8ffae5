import { asPinfsError } from '../format/errors.js';
import { openSnapshot } from './open.js';
import { withPresentTrust } from './opening.js';
import { refuseBlacklisted } from './pinned.js';
import type { Repository } from './repository.js';
import { loadBlacklist } from '../trust/blacklist.js';
import { resolveSnapshot } from './resolve.js';

/** Seconds between two questions while the source has no usable head (format document, 9.8). */
const offlineInterval = 180;

/** Seconds until a followed head should be asked for again; undefined for a pin. */
export function nextCheck(repository: Repository): number | undefined {
  if (repository.pinned) return undefined;
  return repository.verdict.status === 'offline' ? offlineInterval : repository.tree.properties.ttl;
}

/**
 * The blacklist as it is on this machine now, for what is served.
 * @throws PinfsError REVISION_BLACKLISTED, CERTIFICATE_BLACKLISTED; USAGE: it can't be read.
 */
export function refuseBanned({ opening, recipe }: Repository): void {
  const { revision, rootHash } = recipe.identity;
  const blacklist = loadBlacklist(opening.options.blacklist);
  refuseBlacklisted({ ...opening, blacklist }, revision, rootHash);
}

/**
 * Asks for the head again, with the keys and the blacklist that are on this machine now. A new repository on the same store when it moved, or when the verdict
 * changed from or to `offline`; undefined when all is as it was. The old one is left open, as it
 * may be in use: call its `leave` when nothing is served from it any more.
 * @throws PinfsError when the head is refused; what is mounted stays as good as it was.
 */
export async function refresh(
  repository: Repository,
  signal?: AbortSignal,
): Promise<Repository | undefined> {
  if (repository.pinned) return undefined;
  const opening = withPresentTrust(repository.opening);
  const snapshot = await resolveSnapshot(opening, signal);
  const same = snapshot.root.object.hash.text === repository.recipe.identity.rootHash;
  const verdict = same
    ? snapshot.judge({ properties: repository.tree.properties, sha256: () => '' })
    : undefined;
  if (verdict?.status === repository.verdict.status) {
    snapshot.record();
    return undefined;
  }
  try {
    return await openSnapshot(opening, snapshot);
  } catch (error) {
    throw asPinfsError(error);
  }
}
