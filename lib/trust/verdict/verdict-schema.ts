import { errorCodes } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import type { SchemaLibrary } from '../../format/schema.js';
import { stepNames, stepOutcomes, verdictStatuses } from './verdict.js';

/* What a Verdict is as JSON, for whoever reads one that another process wrote. */

/** A field that may be absent: it is there then, as undefined. */
export function noValue(): undefined {
  return undefined;
}

export function hashSchema(v: SchemaLibrary) {
  return v.pipe(
    v.string(),
    v.check((text) => parseHash(text) !== undefined),
  );
}

/** Counts, sizes, revisions. */
export function countSchema(v: SchemaLibrary) {
  return v.pipe(v.number(), v.safeInteger(), v.minValue(0));
}

export function timeSchema(v: SchemaLibrary) {
  return v.pipe(
    v.string(),
    v.check((text) => !Number.isNaN(Date.parse(text))),
  );
}

/** A Verdict of this version of pinfs: each step and reason is one that we know. */
export function verdictSchema(v: SchemaLibrary) {
  return v.object({
    ...verdictEntries(v),
    steps: v.array(stepSchema(v)),
    reasons: v.array(reasonSchema(v)),
  });
}

/** One of another version: steps and reasons that only that one knows are left out. */
export function foreignVerdictSchema(v: SchemaLibrary) {
  const step = stepSchema(v);
  const reason = reasonSchema(v);
  return v.object({
    ...verdictEntries(v),
    steps: v.pipe(
      v.array(v.unknown()),
      v.transform((all) =>
        all
          .map((one) => v.safeParse(step, one))
          .flatMap((one) => (one.success ? [one.output] : [])),
      ),
    ),
    reasons: v.pipe(
      v.array(v.unknown()),
      v.transform((all) =>
        all
          .map((one) => v.safeParse(reason, one))
          .flatMap((one) => (one.success ? [one.output] : [])),
      ),
    ),
  });
}

function verdictEntries(v: SchemaLibrary) {
  return {
    status: v.picklist(verdictStatuses),
    summary: v.string(),
    repository: v.string(),
    rootHash: v.optional(hashSchema(v), noValue),
    revision: v.optional(countSchema(v), noValue),
    published: v.optional(v.string(), noValue),
    tag: v.optional(v.string(), noValue),
    judgedAt: timeSchema(v),
    trustAtGiven: v.boolean(),
    weakKeyAccepted: v.boolean(),
    key: v.optional(
      v.object({ name: v.string(), sha256: v.string(), shipped: v.boolean() }),
      noValue,
    ),
    fingerprint: v.optional(v.string(), noValue),
    whitelist: v.optional(
      v.object({ created: v.optional(v.string(), noValue), expires: v.string() }),
      noValue,
    ),
    hashStrength: v.string(),
    signer: v.optional(v.string(), noValue),
  };
}

function stepSchema(v: SchemaLibrary) {
  return v.object({
    step: v.picklist(stepNames),
    outcome: v.picklist(stepOutcomes),
    code: v.optional(v.picklist(errorCodes), noValue),
    detail: v.string(),
  });
}

function reasonSchema(v: SchemaLibrary) {
  return v.object({ code: v.picklist(errorCodes), message: v.string() });
}
