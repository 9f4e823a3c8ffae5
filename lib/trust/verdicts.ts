import { quoted } from '../format/bytes.js';
import { PinfsError, type ErrorCode } from '../format/errors.js';
import type { ContentHash } from '../format/hash.js';
import type { Attestation, Signer } from './attest/attest.js';
import type { Judgement } from './judge/evidence.js';
import { failedStatus, hashStrength, reasonsOf, signedText } from './verdict/steps.js';
import type { TrustStep, Verdict } from './verdict/verdict.js';

/* Verdicts that are not simply the judgement of a head. */

/** A snapshot that the user named by its root hash. */
export interface PinnedParts {
  readonly fqrn: string;
  readonly rootHash: Pick<ContentHash, 'text'>;
  readonly tag: string | undefined;
  /** As the root catalog says, if it has been opened. */
  readonly revision: number | undefined;
  readonly now: Date;
  /** What the user gave, if anything. */
  readonly trustAt: Date | undefined;
  /**
   * A judgement of what the snapshot was signed with, where a key was given and such evidence is
   * at hand. One of another root hash says nothing about this snapshot, and is left out.
   */
  readonly signature: Judgement | undefined;
}

/** The verdict on a pin by root hash: the hash decides; a signature is added where one can be had. */
export function pinnedVerdict(parts: PinnedParts): Verdict {
  const judged = parts.signature?.verdict;
  const evidence = judged?.rootHash === parts.rootHash.text ? judged : undefined;
  if (evidence === undefined) {
    return {
      ...baseVerdict({ ...parts, rootHash: parts.rootHash.text }),
      status: 'pinned',
      summary: 'content matches the hash; no signature checked',
    };
  }
  const summary =
    evidence.status === 'verified'
      ? `content matches the hash; as of ${evidence.judgedAt} it is ${evidence.tag === undefined ? signedText(evidence) : evidence.summary}`
      : `content matches the hash; its signature does not count: ${evidence.reasons[0]?.message ?? 'unknown'}`;
  return {
    ...evidence,
    status: 'pinned',
    summary,
    tag: parts.tag,
    trustAtGiven: parts.trustAt !== undefined,
    steps: withRoot(evidence.steps),
  };
}

/** The verdict on a tag (or date) that the history of a judged head names. */
export function tagVerdict(
  head: Verdict,
  tag: {
    readonly name: string;
    readonly rootHash: Pick<ContentHash, 'text'>;
    readonly revision: number;
  },
): Verdict {
  const summary = `revision ${tag.revision}, named ${quoted(tag.name)} by the history of: ${head.summary}`;
  return {
    ...head,
    summary: head.status === 'verified' ? summary : head.summary,
    tag: tag.name,
    rootHash: tag.rootHash.text,
    revision: tag.revision,
    // The time of signing is that of the head, so it is not the tag's.
    published: undefined,
    hashStrength: hashStrength(tag.rootHash.text),
  };
}

/** Codes behind which a server or the network is at fault, or time went by; nobody's signature. */
const passing: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'SOURCE_UNREACHABLE',
  'SOURCE_TIMEOUT',
  'SOURCE_STATUS',
  'SOURCE_REDIRECT',
  'SOURCE_ENCODING',
  'SOURCE_OFFLINE',
  'TLS_CERTIFICATE_DATE',
  'TLS_NAME_MISMATCH',
  'TLS_FAILED',
  'OBJECT_MISSING',
  'OBJECT_TOO_LARGE',
  'OBJECT_HASH_MISMATCH',
  'OBJECT_NOT_ZLIB',
  'OBJECT_TRAILING_BYTES',
  'OBJECT_SIZE_MISMATCH',
  'MANIFEST_MISSING',
  'WHITELIST_MISSING',
  'CERTIFICATE_MISSING',
  'HISTORY_MISSING',
  'MANIFEST_MALFORMED',
  'WHITELIST_MALFORMED',
  'WHITELIST_EXPIRED',
  'ROLLBACK',
]);

/**
 * Whether a head that can't be had may be replaced by the last one that was verified here, with
 * the verdict "offline". Give the reasons of the whole judgement where there
 * is one: an expired whitelist does not excuse a bad signature beside it. The blacklist has to be
 * asked again for what is mounted instead.
 */
export function offlineAllowed(failure: PinfsError, reasons: Verdict['reasons'] = []): boolean {
  return passing.has(failure.code) && reasons.every((reason) => passing.has(reason.code));
}

/**
 * The verdict on what was verified here before, where the source now has nothing usable.
 * `judgedAt` stays the moment of that judgement. `others`: what else was found wrong.
 */
export function offlineVerdict(
  previous: Verdict,
  reason: PinfsError,
  now: Date,
  others: Verdict['reasons'] = [],
): Verdict {
  const reasons = [...reasonsOf([reason]), ...others.filter(({ code }) => code !== reason.code)];
  const verdict = { ...previous, status: 'offline' as const, reasons };
  const why = `${offlineReason(verdict)} (at ${now.toISOString()})`;
  return { ...verdict, summary: `${why}; ${offlineInstead(verdict)}` };
}

/** Why something is shown offline, in one sentence that calls it what it is. */
export function offlineReason({ reasons }: Pick<Verdict, 'reasons'>): string {
  return reasons.map(({ code, message }) => (calledBy[code] ?? '') + message).join('; and ');
}

/** Where the message of an error does not say it in the words that people look for. */
const calledBy: Readonly<Partial<Record<ErrorCode, string>>> = {
  SOURCE_UNREACHABLE: 'the source is not reachable: ',
  SOURCE_TIMEOUT: 'the source is not reachable: ',
  SOURCE_STATUS: 'the source is not reachable: ',
  SOURCE_REDIRECT: 'the source is not reachable: ',
  SOURCE_ENCODING: 'the source is not reachable: ',
  ROLLBACK: 'the source was rolled back: ',
};

/** What is shown in place of what can't be had. */
export function offlineInstead({
  tag,
  revision = 'unknown',
  judgedAt,
}: Pick<Verdict, 'tag' | 'judgedAt'> & { readonly revision: number | string | undefined }): string {
  const what =
    tag === undefined
      ? `the last revision verified here, ${revision}`
      : `${quoted(tag)} as it was resolved here, revision ${revision}`;
  return `this is ${what}, judged at ${judgedAt}`;
}

/** What `--strict` says of a verdict that is offline. */
export function strictError(verdict: Pick<Verdict, 'reasons'>): PinfsError {
  return new PinfsError('OFFLINE', `offline: ${offlineReason(verdict)}`, {
    advice: 'Without --strict, what was verified here before is taken.',
  });
}

/** The verdict on a pin that carries an attestation of its own. */
export function attestedVerdict(parts: {
  readonly attestation: Attestation;
  readonly signer: Signer;
  /** That of the attestation. */
  readonly rootHash: Pick<ContentHash, 'text'>;
  readonly now: Date;
  readonly signature: Judgement | undefined;
}): Verdict {
  const { attestation, signer, rootHash, now, signature } = parts;
  const pinned = pinnedVerdict({
    fqrn: attestation.repository,
    rootHash,
    tag: attestation.tag,
    revision: attestation.revision,
    now,
    trustAt: undefined,
    signature,
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

/** The verdict where something outside the judgement of a head refuses, or fails: a moved tag, an attestation. */
export function refusedVerdict(
  parts: { readonly fqrn: string; readonly now: Date },
  failure: PinfsError,
): Verdict {
  return {
    ...baseVerdict({ ...parts, rootHash: undefined, tag: undefined, revision: undefined }),
    status: failedStatus([failure]),
    summary: failure.message,
    steps: [],
    reasons: reasonsOf([failure]),
  };
}

/** The same verdict once the root catalog was fetched and matched its hash. */
export function addRootCatalogStep(verdict: Verdict): Verdict {
  return { ...verdict, steps: withRoot(verdict.steps) };
}

/**
 * The judgement of a chain whose root catalog could not be opened: as far as it goes where that catalog
 * can't be had, refused where it is damaged.
 */
export function withoutRootCatalog(verdict: Verdict, failure: PinfsError): Verdict {
  const damaged = failure.exit === 5 && failure.code !== 'OBJECT_MISSING';
  const step: TrustStep = {
    step: 'root-catalog',
    outcome: damaged ? 'failed' : 'not-checked',
    code: damaged ? failure.code : undefined,
    detail: failure.message,
  };
  const steps = verdict.steps.map((one) => (one.step === 'root-catalog' ? step : one));
  if (!damaged)
    return { ...verdict, summary: `${verdict.summary}; its root catalog can't be had`, steps };
  const reasons = reasonsOf([failure]);
  return { ...verdict, status: 'refused', summary: failure.message, steps, reasons };
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
    weakKeyAccepted: false,
    key: undefined,
    fingerprint: undefined,
    whitelist: undefined,
    hashStrength: hashStrength(parts.rootHash),
    signer: undefined,
    steps: [rootStep],
    reasons: [],
  };
}
