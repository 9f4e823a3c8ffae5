import { decoder, type Decoder, type SchemaLibrary } from '../../format/schema.js';
import {
  noValue,
  countSchema,
  foreignVerdictSchema,
  hashSchema,
  timeSchema,
  verdictSchema,
} from '../verdict/verdict-schema.js';
import type { SeenEvidence, SeenHead, SeenTag } from './seen-facts.js';
import { readStateFields, stateFormat } from './state-format.js';

/*
 * State files as JSON, and back. Reading checks every field: a damaged file gives undefined, and
 * never a head with a revision that was not written.
 */

export interface DecodedState<T> {
  /** undefined: it is damaged; of a later version: it has not all that is needed here. */
  readonly value: T | undefined;
  /** A later version of pinfs wrote it. */
  readonly isNewer: boolean;
}

export function encodeState(value: object): string {
  return `${JSON.stringify({ format: stateFormat, ...value })}\n`;
}

type VerdictSchema = typeof verdictSchema | typeof foreignVerdictSchema;

const headSchema = (verdict: VerdictSchema) => (v: SchemaLibrary) =>
  v.object({
    revision: countSchema(v),
    published: countSchema(v),
    rootHash: hashSchema(v),
    rootSize: v.optional(countSchema(v), noValue),
    historyHash: v.optional(hashSchema(v), noValue),
    verdict: verdict(v),
  });
const knownHead = decoder(headSchema(verdictSchema));
const newerHead = decoder(headSchema(foreignVerdictSchema));

export function decodeHead(bytes: Buffer): DecodedState<SeenHead> {
  return decode(bytes, knownHead, newerHead);
}

const tagSchema = (verdict: VerdictSchema) => (v: SchemaLibrary) =>
  v.object({
    name: v.string(),
    rootHash: hashSchema(v),
    revision: countSchema(v),
    rootSize: v.optional(countSchema(v), noValue),
    verdict: verdict(v),
  });
const knownTag = decoder(tagSchema(verdictSchema));
const newerTag = decoder(tagSchema(foreignVerdictSchema));

export function decodeTag(bytes: Buffer): DecodedState<SeenTag> {
  return decode(bytes, knownTag, newerTag);
}

export function encodeEvidence(evidence: SeenEvidence): string {
  return encodeState({
    manifest: evidence.manifest.toString('base64'),
    whitelist: evidence.whitelist.toString('base64'),
    certificate: evidence.certificate.toString('base64'),
    verifiedAt: evidence.verifiedAt,
  });
}

const knownEvidence = decoder((v) => {
  const bytes = v.pipe(
    v.string(),
    v.transform((text) => Buffer.from(text, 'base64')),
  );
  return v.object({
    manifest: bytes,
    whitelist: bytes,
    certificate: bytes,
    verifiedAt: timeSchema(v),
  });
});

export function decodeEvidence(bytes: Buffer): SeenEvidence | undefined {
  return decode(bytes, knownEvidence, knownEvidence).value;
}

function decode<T>(bytes: Buffer, known: Decoder<T>, newer: Decoder<T>): DecodedState<T> {
  const state = readStateFields(bytes);
  if (state === undefined) return { value: undefined, isNewer: false };
  const { fields, isNewer } = state;
  return { value: (isNewer ? newer : known)(fields), isNewer };
}
