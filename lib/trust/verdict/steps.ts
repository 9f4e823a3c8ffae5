import { isoTime as isoText } from '../../format/time.js';
import type { PinfsError } from '../../format/errors.js';
import type { TrustStep, Verdict } from './verdict.js';

/** What the steps of a judgement leave behind, in the order in which they were taken. */
export interface StepLog {
  readonly steps: TrustStep[];
  readonly failures: PinfsError[];
}

export function passed(log: StepLog, step: TrustStep['step'], detail: string): void {
  log.steps.push({ step, outcome: 'passed', code: undefined, detail });
}

export function failed(log: StepLog, step: TrustStep['step'], error: PinfsError): void {
  log.steps.push({ step, outcome: 'failed', code: error.code, detail: error.message });
  log.failures.push(error);
}

/** A step that could not be taken. It never counts as passed. */
export function notChecked(log: StepLog, step: TrustStep['step'], detail: string): void {
  log.steps.push({ step, outcome: 'not-checked', code: undefined, detail });
}

export function reasonsOf(failures: readonly PinfsError[]): Verdict['reasons'] {
  return failures.map(({ code, message }) => ({ code, message }));
}

/** What failures make of a judgement: what can't be had, or is damaged on its way, is not a matter of trust. */
export function failedStatus(failures: readonly PinfsError[]): 'refused' | 'unjudged' {
  return failures.every(({ exit }) => exit === 4 || exit === 5) ? 'unjudged' : 'refused';
}

/** Seconds since 1970 as ISO 8601; 0 is "unknown". */
export function isoTimeOrNone(seconds: number): string | undefined {
  return seconds === 0 ? undefined : isoText(seconds);
}

/** How much the root hash is worth, for people who decide whether to rely on it. */
export function hashStrength(rootHash: string | undefined): string {
  if (rootHash === undefined) return 'unknown';
  if (rootHash.endsWith('-rmd160')) {
    return 'RIPEMD-160: no collision is known; its 160 bits resist a collision search only up to 2^80 steps';
  }
  if (rootHash.endsWith('-shake128')) {
    return 'SHAKE-128 cut to 160 bits: no weakness is known; resists a collision search only up to 2^80 steps';
  }
  return (
    'SHA-1, weak: collisions are practical, so a dishonest publisher can prepare two contents with one hash; ' +
    'replacing what an honest publisher made (a second preimage) is not known to be possible'
  );
}

/** What was signed and by whom, in words. */
export function signedText(signed: {
  readonly revision: number | undefined;
  readonly published: string | undefined;
  readonly key: { readonly name: string; readonly shipped: boolean } | undefined;
}): string {
  const { revision, published, key } = signed;
  const when = published === undefined ? '' : ` of ${published}`;
  const name = key?.name ?? 'unknown';
  const by = key?.shipped === true ? `the key ${name} that ships with pinfs` : `the key ${name}`;
  return `the signed revision ${revision ?? 'unknown'}${when}, vouched for by ${by}`;
}
