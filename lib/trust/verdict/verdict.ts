import type { ErrorCode } from '../../format/errors.js';

export const verdictStatuses = [
  'verified',
  'pinned',
  'offline',
  'attested',
  'refused',
  'unjudged',
] as const;

/**
 * What is known about the trustworthiness of what is mounted: one structured value, shown by
 * `info`, `status`, the log and the extended attribute `user.pinfs.trust`. It is plain JSON.
 * `unjudged`: nothing speaks against it, but a part of what has to be judged can't be had.
 */
export interface Verdict {
  readonly status: (typeof verdictStatuses)[number];
  /** One sentence for people. */
  readonly summary: string;
  readonly repository: string;
  readonly rootHash: string | undefined;
  readonly revision: number | undefined;
  /** Time of signing (manifest T), ISO 8601 UTC. */
  readonly published: string | undefined;
  readonly tag: string | undefined;
  /** The moment as of which the chain was judged; `trustAtGiven` when it was not the clock's. */
  readonly judgedAt: string;
  readonly trustAtGiven: boolean;
  /** An RSA key below 2048 bits is in the chain, and was accepted because somebody asked for it. */
  readonly weakKeyAccepted: boolean;
  readonly key:
    { readonly name: string; readonly sha256: string; readonly shipped: boolean } | undefined;
  readonly fingerprint: string | undefined;
  readonly whitelist:
    { readonly created: string | undefined; readonly expires: string } | undefined;
  /** Strength of the root hash, honest about SHA-1. */
  readonly hashStrength: string;
  readonly signer: string | undefined;
  /** The chain, step by step, in the order of docs/format.md, 3.6. */
  readonly steps: readonly TrustStep[];
  /** Why it is not `verified`; the first one decides the exit code when refused. */
  readonly reasons: readonly { readonly code: ErrorCode; readonly message: string }[];
}

/** The steps of the chain of trust. */
export const stepNames = [
  'manifest-syntax',
  'manifest-name',
  'manifest-root-path',
  'manifest-hash',
  'certificate',
  'manifest-signature',
  'whitelist-syntax',
  'whitelist-expiry',
  'whitelist-name',
  'whitelist-hash',
  'whitelist-signature',
  'blacklist',
  'fingerprint',
  'revision',
  'root-catalog',
  'attestation',
] as const;

export const stepOutcomes = ['passed', 'failed', 'not-checked'] as const;

export interface TrustStep {
  readonly step: (typeof stepNames)[number];
  readonly outcome: (typeof stepOutcomes)[number];
  readonly code: ErrorCode | undefined;
  readonly detail: string;
}
