import { type ContentHash } from '../format/hash.js';
import { blacklistFailure } from '../trust/blacklist.js';
import type { Judgement } from '../trust/evidence.js';
import { pinnedVerdict } from '../trust/verdicts.js';
import { judgeEvidence, judgedHead, rootWant } from './head.js';
import type { Opening } from './opening.js';
import type { Snapshot } from './snapshot.js';

/** A pin by root hash needs no signature; where a key was given, the evidence that can be had is added. */
export async function resolveHash(
  opening: Opening,
  hash: ContentHash,
  signal?: AbortSignal,
): Promise<Snapshot> {
  const signature = await signatureFor(opening, hash, signal);
  return {
    root: rootWant(hash, signature?.manifest?.rootSize),
    tag: undefined,
    judge: ({ properties }) => {
      refuseBlacklisted(opening, properties.revision);
      return pinnedVerdict({
        fqrn: opening.fqrn,
        rootHash: hash,
        revision: properties.revision,
        tag: undefined,
        now: opening.environment.now(),
        trustAt: opening.trustAt,
        signature,
      });
    },
    record: () => undefined,
  };
}

/** Evidence of a signature on this root hash: kept from when it was verified here, or the source's head, where that is it. */
export async function signatureFor(
  opening: Opening,
  hash: ContentHash,
  signal?: AbortSignal,
): Promise<Judgement | undefined> {
  const kept = opening.seen.evidence(opening.fqrn, hash.text);
  const keyGiven = (opening.options.keys ?? []).length > 0;
  if (kept !== undefined && opening.keys.length > 0) {
    // What was verified here once is shown as of that moment, unless another one was asked for.
    const at = opening.trustAt ?? new Date(kept.verifiedAt);
    return judgeEvidence({ ...opening, trustAt: at }, kept, false);
  }
  if (!keyGiven) return undefined;
  const head = await judgedHead(opening, signal);
  return head.manifest?.rootHash.text === hash.text ? head : undefined;
}

/** The blacklist holds for pins too. @throws PinfsError REVISION_BLACKLISTED */
export function refuseBlacklisted(opening: Opening, revision: number): void {
  const { blacklist, fqrn } = opening;
  const refused = blacklistFailure(blacklist, { fqrn, revision, certificate: undefined });
  if (refused !== undefined) throw refused;
}
