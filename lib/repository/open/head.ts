import { PinfsError, type ErrorCode } from '../../format/errors.js';
import type { Served, Source } from '../../source/source.js';
import type { Manifest } from '../../format/manifest.js';
import { sizeLimits, type Want } from '../../store/want.js';
import { judgeHead, type Evidence, type Judgement } from '../../trust/judge/judge.js';
import { gatherEvidence, type EvidencePlaces } from './evidence.js';
import { newestHead, type JudgedHead } from './newest-head.js';
import { offlineError, type Opening } from './opening.js';
import type { ContentHash } from '../../format/hash.js';

/**
 * Asks for the head and judges it, against what was seen on this machine before. Of several mirrors that answer in
 * time it is the newest valid one: a mirror that lags behind never decides.
 * @param early what will be needed of a manifest that turns out to be right, as in `EvidencePlaces`.
 */
export async function judgedHead(
  opening: Opening,
  signal: AbortSignal,
  early?: EvidencePlaces['early'],
): Promise<JudgedHead> {
  opening.headRequests.at = opening.environment.now().getTime();
  if (opening.options.offline === true) {
    const evidence = nothing(offlineError(opening));
    return { evidence, ...judgeEvidence(opening, evidence, true) };
  }
  await opening.source.arranged?.();
  const { mirrors } = opening.source;
  // Of several manifests most are not the one that counts.
  if (mirrors === undefined) return await headOf(opening, opening.source, signal, early);
  return await newestHead(
    mirrors.map((mirror) => (signal) => headOf(opening, mirror, signal)),
    signal,
  );
}

/** The head that one server has; where what it gave is none, also by its other ways. */
async function headOf(
  opening: Opening,
  asked: Source,
  signal: AbortSignal,
  early?: EvidencePlaces['early'],
): Promise<JudgedHead> {
  const served: Served[] = [];
  for (let tries = 1; ; tries++) {
    const places = { asked, source: opening.source, store: opening.store, early };
    const evidence = await gatherEvidence(places, opening.alternatives, signal, served);
    const head = { evidence, ...judgeEvidence(opening, evidence, true) };
    const { failure } = head;
    if (failure === undefined || !isOfContent(failure)) {
      if (failure === undefined && served.length > 1) asked.judged?.(served, undefined);
      return head;
    }
    // One way is not asked twice: what is signed wrongly is not damaged on the way.
    const others = asked.judged?.(served, failure) ?? 0;
    if (others === 0 || tries >= triesMax || signal.aborted) return head;
  }
}

// Of one mirror, past caches and through other proxies.
const triesMax = 8;

const contentCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MANIFEST_MALFORMED',
  'MANIFEST_HASH_MISMATCH',
  'MANIFEST_SIGNATURE',
  'WHITELIST_MALFORMED',
  'WHITELIST_HASH_MISMATCH',
  'WHITELIST_SIGNATURE',
  'SOURCE_ENCODING',
]);

function isOfContent({ code }: PinfsError): boolean {
  return contentCodes.has(code);
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
