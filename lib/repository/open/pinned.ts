import type { ContentHash } from '../../format/hash.js';
import { blacklistFailure, revisionFailure } from '../../trust/files/blacklist.js';
import type { Certificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import { parseManifest } from '../../format/manifest.js';
import { storedCertificate, type Judgement } from '../../trust/judge/evidence.js';
import { pinnedVerdict } from '../../trust/verdicts.js';
import { findRoot, verdictOfTag } from './history.js';
import { judgeEvidence, judgedHead, rootWant } from './head.js';
import type { Opening } from './opening.js';
import type { ResolvedSnapshot } from './snapshot.js';

/** A pin by root hash needs no signature; where a key was given, the evidence that can be had is added. */
export async function resolveHash(
  opening: Opening,
  hash: ContentHash,
  signal: AbortSignal,
): Promise<ResolvedSnapshot> {
  const signature = await signatureFor(opening, hash, signal);
  refuseBannedSignature(signature);
  return {
    root: rootWant(hash, promisedSize(signature, hash)),
    tag: undefined,
    judge: ({ properties }) => {
      refuseBlacklisted(opening, properties.revision, hash.text);
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

/** An unverified manifest promises nothing, and one of another root hash nothing for this one. */
function promisedSize(signature: Judgement | undefined, hash: ContentHash): number | undefined {
  if (signature?.failure !== undefined) return undefined;
  const manifest = signature?.manifest;
  return manifest?.rootHash.text === hash.text ? manifest.rootSize : undefined;
}

/**
 * Evidence of a signature on this root hash: kept from when it was verified here, or the source's head,
 * where that is it or (a key being given) its history names it.
 */
export async function signatureFor(
  opening: Opening,
  hash: ContentHash,
  signal: AbortSignal,
): Promise<Judgement | undefined> {
  const keyGiven = (opening.options.keys ?? []).length > 0;
  const judged = opening.keys.length > 0 ? keptJudgement(opening, hash) : undefined;
  if (judged !== undefined) {
    // Kept for a tag, it is the head's that named the tag.
    return (keyGiven ? await vouchedFor(opening, judged, hash, signal) : undefined) ?? judged;
  }
  if (!keyGiven) return undefined;
  const head = await judgedHead(opening, signal, (manifest) => {
    const isHead = manifest.rootHash.text === hash.text;
    return [rootWant(hash, isHead ? manifest.rootSize : undefined)];
  });
  return await vouchedFor(opening, head, hash, signal);
}

/** What was verified here once, as of that moment, unless another one was asked for: with the keys of today. */
export function keptJudgement(opening: Opening, hash: ContentHash): Judgement | undefined {
  const judgements = opening.seen.evidence(opening.fqrn, hash.text).map((kept) => {
    const trustAt = opening.trustAt ?? new Date(kept.verifiedAt);
    return judgeEvidence({ ...opening, trustAt }, kept, false);
  });
  return judgements.find(({ failure }) => failure === undefined) ?? judgements[0];
}

/** A judgement as far as it is one of this root hash: its own, or one that its history names. */
async function vouchedFor(
  opening: Opening,
  judged: Judgement,
  hash: ContentHash,
  signal: AbortSignal,
): Promise<Judgement | undefined> {
  const { manifest, failure, verdict } = judged;
  if (manifest?.rootHash.text === hash.text) return judged;
  if (manifest === undefined || failure !== undefined) return undefined;
  try {
    const tag = await findRoot(opening, manifest.history, hash.text, signal);
    if (tag === undefined) return undefined;
    return { failure, manifest: undefined, verdict: verdictOfTag(verdict, tag) };
  } catch (error) {
    if (signal.aborted) throw error;
    // The hash decides: a history that can't be had is no reason against it.
    return undefined;
  }
}

/**
 * The blacklist holds for pins too: for the revision, and for every certificate with which the snapshot was
 * verified here, if it ever was, whoever vouched for that.
 * @throws PinfsError REVISION_BLACKLISTED, CERTIFICATE_BLACKLISTED
 */
export function refuseBlacklisted(opening: Opening, revision: number, rootHash: string): void {
  const { blacklist, fqrn } = opening;
  const refused = revisionFailure(blacklist, fqrn, revision);
  if (refused !== undefined) throw refused;
  for (const certificate of keptCertificates(opening, rootHash)) {
    const banned = blacklistFailure(blacklist, { fqrn, revision, certificate });
    if (banned !== undefined) throw banned;
  }
}

/**
 * What is signed with a banned certificate is refused however it is named, if it is signed with it: a
 * server could say so of anything.
 * @throws PinfsError CERTIFICATE_BLACKLISTED
 */
export function refuseBannedSignature(signature: Judgement | undefined): void {
  if (signature === undefined) return;
  const { steps, reasons } = signature.verdict;
  const isSigned = steps.some(
    ({ step, outcome }) => step === 'manifest-signature' && outcome === 'passed',
  );
  const banned = reasons.find(({ code }) => code === 'CERTIFICATE_BLACKLISTED');
  if (isSigned && banned !== undefined) throw new PinfsError(banned.code, banned.message);
}

function keptCertificates(opening: Opening, rootHash: string): Certificate[] {
  return opening.seen.evidence(opening.fqrn, rootHash).flatMap((kept) => {
    const manifest = parseManifest(kept.manifest);
    if (manifest instanceof PinfsError || manifest.certificate === undefined) return [];
    const certificate = storedCertificate(kept.certificate, manifest.certificate);
    return certificate instanceof PinfsError ? [] : [certificate];
  });
}
