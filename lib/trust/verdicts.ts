import type { PinfsError } from '../format/errors.js';
import type { Attestation, Signer } from './attest.js';
import type { Judgement } from './evidence.js';
import { hashStrength, reasonsOf } from './steps.js';
import type { TrustStep, Verdict } from './verdict.js';

/* Verdicts that are not simply the judgement of a head. */

/** A snapshot that the user named by its root hash. */
export interface PinnedParts {
  readonly fqrn: string;
  readonly rootHash: string;
  readonly tag: string | undefined;
  /** As the root catalog says, if it has been opened. */
  readonly revision: number | undefined;
  readonly now: Date;
  /**
   * A judgement of what the snapshot was signed with, where a key was given and such evidence is
   * at hand. One of another root hash says nothing about this snapshot, and is left out.
   */
  readonly evidence: Judgement | undefined;
}

/** The verdict on a pin by root hash: the hash decides; a signature is added where one can be had. */
export function pinnedVerdict(parts: PinnedParts): Verdict {
  const judged = parts.evidence?.verdict;
  const evidence = judged?.rootHash === parts.rootHash ? judged : undefined;
  const base = baseVerdict(parts);
  if (evidence === undefined) {
    return { ...base, status: 'pinned', summary: 'content matches the hash; no signature checked' };
  }
  const asOf = `as of ${evidence.judgedAt}`;
  const summary =
    evidence.status === 'verified'
      ? `content matches the hash; ${asOf}, it was ${evidence.summary}`
      : `content matches the hash; its signature does not count: ${evidence.reasons[0]?.message ?? 'unknown'}`;
  return {
    ...evidence,
    status: 'pinned',
    summary,
    tag: parts.tag,
    steps: withRoot(evidence.steps),
  };
}

/** The verdict on a tag (or date) that the history of a judged head names. */
export function taggedVerdict(
  judgement: Judgement,
  tag: { readonly name: string; readonly rootHash: string; readonly revision: number },
): Verdict {
  const head = judgement.verdict;
  const summary =
    head.status === 'verified'
      ? `revision ${tag.revision}, which ${JSON.stringify(tag.name)} names in the history of ${head.summary}`
      : head.summary;
  return {
    ...head,
    summary,
    tag: tag.name,
    rootHash: tag.rootHash,
    revision: tag.revision,
    // The time of signing is that of the head, so it is not the tag's.
    published: undefined,
    hashStrength: hashStrength(tag.rootHash),
  };
}

/** The verdict on what was verified here before, where the source now has nothing usable. */
export function offlineVerdict(previous: Verdict, reason: PinfsError): Verdict {
  const what = previous.tag === undefined ? 'the last' : `${JSON.stringify(previous.tag)} at its`;
  return {
    ...previous,
    status: 'offline',
    summary:
      `${what} verified revision ${previous.revision ?? 'unknown'}, ` +
      `judged at ${previous.judgedAt}; now: ${reason.message}`,
    reasons: reasonsOf([reason]),
  };
}

/** The verdict on a pin that carries an attestation of its own. */
export function attestedVerdict(parts: {
  readonly attestation: Attestation;
  readonly signer: Signer;
  readonly now: Date;
  readonly evidence: Judgement | undefined;
}): Verdict {
  const { attestation, signer, now, evidence } = parts;
  const pinned = pinnedVerdict({
    fqrn: attestation.repository,
    rootHash: attestation.rootHash,
    tag: attestation.tag,
    revision: attestation.revision,
    now,
    evidence,
  });
  const step: TrustStep = {
    step: 'attestation',
    outcome: 'passed',
    code: undefined,
    detail: `Ed25519 key ${signer.keyid}, signed for ${attestation.time}`,
  };
  return {
    ...pinned,
    status: 'attested',
    summary: `exactly what ${signer.name} attested at ${attestation.time}: revision ${attestation.revision} of ${attestation.repository}`,
    hashStrength: `SHA-256 of the root catalog is attested; beyond it ${pinned.hashStrength}`,
    signer: `${signer.name} (${signer.keyid})`,
    steps: [...pinned.steps, step],
  };
}

/** The verdict where something outside the judgement of a head refuses: a moved tag, an attestation. */
export function refusedVerdict(
  parts: { readonly fqrn: string; readonly now: Date },
  failure: PinfsError,
): Verdict {
  return {
    ...baseVerdict({ ...parts, rootHash: undefined, tag: undefined, revision: undefined }),
    status: 'refused',
    summary: `refused: ${failure.message}`,
    steps: [],
    reasons: reasonsOf([failure]),
  };
}

/** The same verdict once the root catalog was fetched and matched its hash. */
export function withRootCatalog(verdict: Verdict): Verdict {
  return { ...verdict, steps: withRoot(verdict.steps) };
}

const rootStep: TrustStep = {
  step: 'root-catalog',
  outcome: 'passed',
  code: undefined,
  detail: 'the root catalog matches its hash',
};

function withRoot(steps: readonly TrustStep[]): TrustStep[] {
  return steps.map((step) => (step.step === 'root-catalog' ? rootStep : step));
}

function baseVerdict(parts: {
  readonly fqrn: string;
  readonly rootHash: string | undefined;
  readonly tag: string | undefined;
  readonly revision: number | undefined;
  readonly now: Date;
}): Omit<Verdict, 'status' | 'summary'> {
  return {
    repository: parts.fqrn,
    rootHash: parts.rootHash,
    revision: parts.revision,
    published: undefined,
    tag: parts.tag,
    judgedAt: parts.now.toISOString(),
    trustAtGiven: false,
    key: undefined,
    fingerprint: undefined,
    whitelist: undefined,
    hashStrength: hashStrength(parts.rootHash),
    signer: undefined,
    steps: [rootStep],
    reasons: [],
  };
}
