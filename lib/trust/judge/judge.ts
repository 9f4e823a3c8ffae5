import { fingerprintOf, type Certificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import type { Manifest } from '../../format/manifest.js';
import { fingerprintText } from '../../format/whitelist.js';
import { blacklistFailure } from '../files/blacklist.js';
import { keyBitsMin } from './chain-errors.js';
import type { Evidence, JudgeContext, Judgement } from './evidence.js';
import {
  certificateStep,
  manifestSignatureStep,
  manifestSteps,
  revisionStep,
} from './judge-manifest.js';
import { fingerprintStep, whitelistSignatureStep, whitelistSteps } from './judge-whitelist.js';
import type { MasterKey } from '../files/keys.js';
import {
  failed,
  failedStatus,
  hashStrength,
  isoTimeOrNone,
  notChecked,
  passed,
  reasonsOf,
  signedText,
} from '../verdict/steps.js';
import type { StepLog } from '../verdict/steps.js';
import type { Verdict } from '../verdict/verdict.js';

export type { Evidence, JudgeContext, Judgement } from './evidence.js';

/**
 * Judges a head: the whole chain, in the order of docs/format.md, 3.6. Every step that can be taken
 * is taken and reported, also behind one that failed. The root catalog itself is not looked at:
 * whoever fetches it by `manifest.rootHash` verifies it, and then calls `withRootCatalog`.
 */
export function judgeHead(evidence: Evidence, context: JudgeContext): Judgement {
  const log: StepLog = { steps: [], failures: [] };
  const manifest = manifestSteps(log, evidence.manifest, context.fqrn);
  const certificate = certificateStep(log, manifest, evidence.certificate);
  manifestSignatureStep(log, manifest, certificate, context.weakKey);
  const whitelist = whitelistSteps(log, evidence.whitelist, context);
  const key = whitelistSignatureStep(log, whitelist, context);
  blacklistStep(log, manifest, certificate, context);
  const listed = fingerprintStep(log, whitelist, certificate);
  revisionStep(log, manifest, context.seen);
  notChecked(log, 'root-catalog', 'checked when it is fetched');

  const fingerprint = listed ?? (certificate && fingerprintOf(certificate, 'sha1'));
  const optional = new Set(['revision', 'root-catalog']);
  // A step that was left out for any reason but a failure before it would be a hole: fail closed.
  const complete = log.steps.every(
    (step) => step.outcome === 'passed' || (optional.has(step.step) && step.outcome !== 'failed'),
  );
  if (!complete && log.failures.length === 0) {
    log.failures.push(new PinfsError('INTERNAL', 'a step of the trust chain was not taken'));
  }
  const failure = log.failures[0];
  const weakKeyAccepted = context.weakKey && (isWeak(key) || isWeak(certificate));
  const verdict: Verdict = {
    status: failure === undefined ? 'verified' : failedStatus(log.failures),
    summary:
      summary(manifest, key, failure, context) +
      (failure === undefined && weakKeyAccepted ? '; with a weak RSA key, as was allowed' : ''),
    repository: context.fqrn,
    rootHash: manifest?.rootHash.text,
    revision: manifest?.revision,
    published: manifest && isoTimeOrNone(manifest.published),
    tag: undefined,
    judgedAt: (context.trustAt ?? context.now).toISOString(),
    trustAtGiven: context.trustAt !== undefined,
    weakKeyAccepted,
    key: key && { name: key.name, sha256: key.sha256, shipped: key.shipped },
    fingerprint: fingerprint && fingerprintText(fingerprint),
    whitelist: whitelist && { created: whitelist.created, expires: whitelist.expires },
    hashStrength: hashStrength(manifest?.rootHash.text),
    signer: undefined,
    steps: log.steps,
    reasons: reasonsOf(log.failures),
  };
  return { verdict, manifest, failure };
}

function isWeak(key: { readonly bits: number } | undefined): boolean {
  return key !== undefined && key.bits < keyBitsMin;
}

function summary(
  manifest: Manifest | undefined,
  key: MasterKey | undefined,
  failure: PinfsError | undefined,
  context: JudgeContext,
): string {
  const asOf =
    context.trustAt === undefined
      ? ''
      : `; judged as of ${context.trustAt.toISOString()}, as was asked for, not as of now`;
  if (failure !== undefined || manifest === undefined || key === undefined) {
    return (failure?.message ?? 'the chain of signatures is not whole') + asOf;
  }
  return signedText({ ...manifest, published: isoTimeOrNone(manifest.published), key }) + asOf;
}

function blacklistStep(
  log: StepLog,
  manifest: Manifest | undefined,
  certificate: Certificate | undefined,
  context: JudgeContext,
): void {
  if (manifest === undefined) {
    notChecked(log, 'blacklist', 'there is no manifest to look at');
    return;
  }
  const { fqrn, blacklist } = context;
  const failure = blacklistFailure(blacklist, { fqrn, revision: manifest.revision, certificate });
  if (failure !== undefined) {
    failed(log, 'blacklist', failure);
    return;
  }
  if (certificate === undefined) {
    notChecked(log, 'blacklist', 'the revision is not banned; the certificate is not known');
    return;
  }
  passed(log, 'blacklist', 'neither certificate nor revision is banned');
}
