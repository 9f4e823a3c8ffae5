import { errorCodes, type ErrorCode } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import type { SeenEvidence, SeenHead, SeenTag } from './seen-facts.js';
import type { TrustStep, Verdict } from '../verdict/verdict.js';

/*
 * State files as JSON, and back. Reading checks every field: a damaged file gives undefined, and
 * never a head with a revision that was not written.
 */

/** Raised by whoever changes the meaning of a field; a higher one than this is not read. */
const stateFormat = 1;

type Fields = Readonly<Record<string, unknown>>;

class Damaged extends Error {}

export function encodeState(value: object): string {
  return `${JSON.stringify({ format: stateFormat, ...value })}\n`;
}

export function decodeHead(bytes: Buffer): SeenHead | undefined {
  return decode(bytes, (fields) => ({
    revision: integer(fields, 'revision'),
    published: integer(fields, 'published'),
    rootHash: hash(fields, 'rootHash'),
    rootSize: optional(fields, 'rootSize', integer),
    historyHash: optional(fields, 'historyHash', hash),
    verdict: verdict(object(fields['verdict'])),
  }));
}

export function decodeTag(bytes: Buffer): SeenTag | undefined {
  return decode(bytes, (fields) => ({
    name: text(fields, 'name'),
    rootHash: hash(fields, 'rootHash'),
    revision: integer(fields, 'revision'),
    rootSize: optional(fields, 'rootSize', integer),
    verdict: verdict(object(fields['verdict'])),
  }));
}

export function encodeEvidence(evidence: SeenEvidence): string {
  return encodeState({
    manifest: evidence.manifest.toString('base64'),
    whitelist: evidence.whitelist.toString('base64'),
    certificate: evidence.certificate.toString('base64'),
    verifiedAt: evidence.verifiedAt,
  });
}

export function decodeEvidence(bytes: Buffer): SeenEvidence | undefined {
  return decode(bytes, (fields) => ({
    manifest: Buffer.from(text(fields, 'manifest'), 'base64'),
    whitelist: Buffer.from(text(fields, 'whitelist'), 'base64'),
    certificate: Buffer.from(text(fields, 'certificate'), 'base64'),
    verifiedAt: time(fields, 'verifiedAt'),
  }));
}

function decode<T>(bytes: Buffer, read: (fields: Fields) => T): T | undefined {
  try {
    const fields = object(JSON.parse(bytes.toString('utf8')));
    return fields['format'] === stateFormat ? read(fields) : undefined;
  } catch (error) {
    if (error instanceof Damaged || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function verdict(fields: Fields): Verdict {
  const key = fields['key'] === undefined ? undefined : object(fields['key']);
  const whitelist = fields['whitelist'] === undefined ? undefined : object(fields['whitelist']);
  return {
    status: member(fields, 'status', statuses),
    summary: text(fields, 'summary'),
    repository: text(fields, 'repository'),
    rootHash: optional(fields, 'rootHash', hash),
    revision: optional(fields, 'revision', integer),
    published: optional(fields, 'published', text),
    tag: optional(fields, 'tag', text),
    judgedAt: time(fields, 'judgedAt'),
    trustAtGiven: flag(fields, 'trustAtGiven'),
    weakKeyAccepted: flag(fields, 'weakKeyAccepted'),
    key: key && {
      name: text(key, 'name'),
      sha256: text(key, 'sha256'),
      shipped: flag(key, 'shipped'),
    },
    fingerprint: optional(fields, 'fingerprint', text),
    whitelist: whitelist && {
      created: optional(whitelist, 'created', text),
      expires: text(whitelist, 'expires'),
    },
    hashStrength: text(fields, 'hashStrength'),
    signer: optional(fields, 'signer', text),
    steps: list(fields, 'steps').map((item) => ({
      step: member(item, 'step', stepNames),
      outcome: member(item, 'outcome', outcomes),
      code: optional(item, 'code', code),
      detail: text(item, 'detail'),
    })),
    reasons: list(fields, 'reasons').map((item) => ({
      code: code(item, 'code'),
      message: text(item, 'message'),
    })),
  };
}

const statuses: Record<Verdict['status'], true> = {
  verified: true,
  pinned: true,
  offline: true,
  attested: true,
  refused: true,
  unjudged: true,
};

const outcomes: Record<TrustStep['outcome'], true> = {
  passed: true,
  failed: true,
  'not-checked': true,
};

const stepNames: Record<TrustStep['step'], true> = {
  'manifest-syntax': true,
  'manifest-name': true,
  'manifest-root-path': true,
  'manifest-hash': true,
  certificate: true,
  'manifest-signature': true,
  'whitelist-syntax': true,
  'whitelist-expiry': true,
  'whitelist-name': true,
  'whitelist-hash': true,
  'whitelist-signature': true,
  blacklist: true,
  fingerprint: true,
  revision: true,
  'root-catalog': true,
  attestation: true,
};

const codes = Object.fromEntries(errorCodes.map((name) => [name, true])) as Record<ErrorCode, true>;

function object(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Damaged();
  return value as Fields;
}

function list(fields: Fields, name: string): Fields[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw new Damaged();
  return value.map(object);
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw new Damaged();
  return value;
}

function integer(fields: Fields, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw new Damaged();
  return value;
}

function flag(fields: Fields, name: string): boolean {
  const value = fields[name];
  if (typeof value !== 'boolean') throw new Damaged();
  return value;
}

function hash(fields: Fields, name: string): string {
  const value = text(fields, name);
  if (parseHash(value) === undefined) throw new Damaged();
  return value;
}

function time(fields: Fields, name: string): string {
  const value = text(fields, name);
  if (Number.isNaN(Date.parse(value))) throw new Damaged();
  return value;
}

function code(fields: Fields, name: string): ErrorCode {
  return member(fields, name, codes);
}

function member<T extends string>(fields: Fields, name: string, known: Record<T, true>): T {
  const value = text(fields, name);
  if (!Object.hasOwn(known, value)) throw new Damaged();
  return value as T;
}

function optional<T>(
  fields: Fields,
  name: string,
  read: (fields: Fields, name: string) => T,
): T | undefined {
  return fields[name] === undefined ? undefined : read(fields, name);
}
