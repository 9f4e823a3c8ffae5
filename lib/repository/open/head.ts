import { PinfsError } from '../../format/errors.js';
import type { Manifest } from '../../format/manifest.js';
import { sizeLimits, type Want } from '../../store/want.js';
import { judgeHead, type Evidence, type Judgement } from '../../trust/judge/judge.js';
import { gatherEvidence } from './evidence.js';
import { offlineError, type Opening } from './opening.js';
import type { ContentHash } from '../../format/hash.js';

export interface JudgedHead extends Judgement {
  readonly evidence: Evidence;
}

/** Asks the source for its head and judges it, against what was seen on this machine before. */
export async function judgedHead(opening: Opening, signal: AbortSignal): Promise<JudgedHead> {
  opening.headRequests.at = opening.environment.now().getTime();
  const evidence =
    opening.options.offline === true
      ? nothing(offlineError(opening))
      : await gatherEvidence(opening.source, opening.store, opening.alternatives, signal);
  return { evidence, ...judgeEvidence(opening, evidence, true) };
}

/** Judges evidence that is at hand; `againstSeen` is left out for evidence of the past. */
export function judgeEvidence(
  opening: Opening,
  evidence: Evidence,
  againstSeen: boolean,
): Judgement {
  return judgeHead(evidence, {
    fqrn: opening.fqrn,
    keys: opening.keys,
    now: opening.environment.now(),
    trustAt: opening.trustAt,
    blacklist: opening.blacklist,
    seen: againstSeen ? opening.seen.get(opening.fqrn)?.head : undefined,
    weakKey: opening.options.weakKey ?? false,
  });
}

function nothing(error: PinfsError): Evidence {
  return { manifest: error, whitelist: error, certificate: undefined };
}

/** The root catalog as something to fetch; without a promise of size the limit for catalogs holds. */
export function rootWant(hash: ContentHash, size: number | undefined): Want {
  const promised = size !== undefined && size > 0 && size <= sizeLimits.catalog;
  return {
    object: { hash, kind: 'catalog' },
    compression: 'zlib',
    size: promised ? { kind: 'exact', bytes: size } : { kind: 'limit', bytes: sizeLimits.catalog },
    path: '',
  };
}

export function manifestRoot(manifest: Manifest): Want {
  return rootWant(manifest.rootHash, manifest.rootSize);
}

/** What is asked for is bound by a hash that was signed: anything else is the doing of servers or the network. */
export function isUnavailable({ exit, code }: PinfsError): boolean {
  return exit === 4 || code.startsWith('OBJECT_');
}
