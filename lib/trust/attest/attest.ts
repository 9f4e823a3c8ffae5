import nacl from 'tweetnacl';
import { printable, fromText } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import { isRepositoryName } from '../../format/names.js';
import { parseJson, strictDecoder, type SchemaLibrary } from '../../format/schema.js';
import type { SecretKey, Signer } from './attest-keys.js';

export * from './attest-keys.js';

/** What a snapshot is, for somebody to sign: a pin that no whitelist can outlive. */
export interface Attestation {
  readonly repository: string;
  /** Text form, with the tail of its algorithm. */
  readonly rootHash: string;
  /** SHA-256 (hex) of the inflated root catalog: binds the content without relying on SHA-1. */
  readonly rootCatalogSha256: string;
  readonly revision: number;
  readonly tag: string | undefined;
  /** When it was attested, ISO 8601. */
  readonly time: string;
}

export interface VerifiedAttestation {
  readonly attestation: Attestation;
  readonly signer: Signer;
}

const payloadType = 'application/vnd.in-toto+json';
const statementType = 'https://in-toto.io/Statement/v1';
const predicateType = 'urn:pinfs:snapshot:v1';
const limits = { envelope: 64 * 1024, signatures: 16 };

/** An in-toto Statement v1 in a DSSE envelope, as JSON text. */
export function makeAttestation(attestation: Attestation, secret: SecretKey): string {
  const payload = Buffer.from(JSON.stringify(statement(attestation)), 'utf8');
  const signature = nacl.sign.detached(encodePreAuth(payload), secret.secretKey);
  const envelope = {
    payloadType,
    payload: payload.toString('base64'),
    signatures: [{ keyid: secret.keyid, sig: Buffer.from(signature).toString('base64') }],
  };
  return `${JSON.stringify(envelope, null, 2)}\n`;
}

/**
 * Reads an attestation and requires the signature of one of `signers`. Nothing of the payload is
 * looked at before that.
 * @throws PinfsError ATTESTATION_MALFORMED, ATTESTATION_SIGNATURE
 */
export function verifyAttestation(bytes: Buffer, signers: readonly Signer[]): VerifiedAttestation {
  const { payload, signatures } = readEnvelope(jsonOf(bytes, 'attestation'));
  const message = encodePreAuth(payload);
  // `keyid` is a hint that nobody signed, so every signer is tried.
  const found = signatures
    .map(({ sig }) => sig)
    .filter((signature) => signature.length === nacl.sign.signatureLength)
    .flatMap((signature) =>
      signers.filter((signer) => nacl.sign.detached.verify(message, signature, signer.publicKey)),
    );
  const signer = found[0];
  if (signer === undefined) {
    const names = signers.map((one) => `${one.name} (${one.keyid})`).join(', ');
    throw new PinfsError('ATTESTATION_SIGNATURE', `the attestation is not signed by ${names}`, {
      advice: 'give the public key of whoever attested it with --signer PUB',
    });
  }
  return { attestation: readStatement(payload), signer };
}

/**
 * Holds an attestation against what is to be mounted. What is not known (yet) is left out of
 * `found` and not compared; ask again when it is.
 * @throws PinfsError ATTESTATION_MISMATCH
 */
export function checkAttestation(
  attestation: Attestation,
  found: {
    readonly repository: string;
    readonly rootHash: string;
    readonly revision?: number | undefined;
    readonly rootCatalogSha256?: string | undefined;
  },
): void {
  const compare = (what: string, attested: string | number, is: string | number | undefined) => {
    if (is === undefined || is === attested) return;
    throw new PinfsError(
      'ATTESTATION_MISMATCH',
      `the attestation is for the ${what} ${attested}, and this is ${is}`,
    );
  };
  compare('repository', attestation.repository, found.repository);
  compare('root hash', attestation.rootHash, found.rootHash);
  compare('root catalog with SHA-256', attestation.rootCatalogSha256, found.rootCatalogSha256);
  compare('revision', attestation.revision, found.revision);
}

/**
 * Both digests are of the root catalog: `sha256` of its plain bytes, for any tool; the other is
 * the repository's own name for it, over the stored bytes.
 */
function statement(attestation: Attestation): object {
  const { repository, rootHash, rootCatalogSha256, revision, tag, time } = attestation;
  return {
    _type: statementType,
    subject: [
      {
        name: `${repository}@${rootHash}`,
        digest: { sha256: rootCatalogSha256, cvmfsRootHash: rootHash },
      },
    ],
    predicateType,
    predicate: { repository, rootHash, revision, tag: tag ?? null, time },
  };
}

const readEnvelope = strictDecoder((v) => {
  const count = `has no list of at most ${limits.signatures} signatures`;
  const signature = v.object({ sig: base64(v, 'signature') }, objectFault('a signature'));
  return v.object(
    {
      payloadType: v.literal(
        payloadType,
        ({ input }) => `has the payload type ${show(input)}, not ${payloadType}`,
      ),
      payload: base64(v, 'payload'),
      signatures: v.pipe(v.array(signature, count), v.maxLength(limits.signatures, count)),
    },
    objectFault('the envelope'),
  );
}, malformed);

const decodeStatement = strictDecoder((v) => {
  const has = (what: string) => (issue: { readonly input: unknown }) =>
    `has the ${what} ${show(issue.input)}`;
  const digest = v.object(
    {
      sha256: v.pipe(v.string(has('SHA-256')), v.regex(/^[0-9a-f]{64}$/, has('SHA-256'))),
      cvmfsRootHash: v.string(has('root hash')),
    },
    objectFault('its digest'),
  );
  return v.object(
    {
      _type: v.literal(statementType, 'is no in-toto Statement v1'),
      predicateType: v.literal(
        predicateType,
        ({ input }) => `attests ${show(input)}, not ${predicateType}`,
      ),
      subject: v.strictTuple(
        [v.object({ digest }, objectFault('its subject'))],
        'has not one subject',
      ),
      predicate: v.object(
        {
          repository: v.pipe(
            v.string(has('repository')),
            v.check(isRepositoryName, has('repository')),
          ),
          rootHash: v.pipe(
            v.string(has('root hash')),
            v.check((text) => parseHash(text) !== undefined, has('root hash')),
          ),
          revision: v.pipe(
            v.number(has('revision')),
            v.safeInteger(has('revision')),
            v.minValue(0, has('revision')),
          ),
          tag: v.nullable(v.string(has('tag'))),
          time: v.pipe(
            v.string(has('time')),
            v.check((text) => !Number.isNaN(Date.parse(text)), has('time')),
          ),
        },
        objectFault('its predicate'),
      ),
    },
    objectFault('the statement'),
  );
}, malformed);

function readStatement(payload: Buffer): Attestation {
  const { subject, predicate } = decodeStatement(jsonOf(payload, 'statement'));
  const [{ digest }] = subject;
  if (digest.cvmfsRootHash !== predicate.rootHash) throw malformed('has two root hashes');
  return {
    ...predicate,
    rootCatalogSha256: digest.sha256,
    tag: predicate.tag ?? undefined,
  };
}

/** Pre-authentication encoding of DSSE v1: what is signed. */
function encodePreAuth(payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head, 'utf8'), payload]);
}

function jsonOf(bytes: Buffer, what: string): unknown {
  if (bytes.length > limits.envelope) throw malformed(`is larger than ${limits.envelope} bytes`);
  const value = parseJson(bytes.toString('utf8'));
  if (value === undefined) throw malformed(`is no JSON (${what})`);
  return value;
}

/** What to say of an object: it is none, or lacks a field. */
function objectFault(what: string) {
  return ({ path }: { readonly path?: readonly { readonly key?: unknown }[] | undefined }) =>
    path === undefined
      ? `is broken: ${what} is no object`
      : `is broken: ${what} has no ${String(path[0]?.key)}`;
}

/** DSSE allows the URL-safe alphabet as well as the standard one; Node reads both. */
function base64(v: SchemaLibrary, what: string) {
  const fault = `has a ${what} that is no base64`;
  return v.pipe(
    v.string(fault),
    v.regex(/^[A-Za-z0-9+/_-]*={0,2}$/, fault),
    v.transform((text) => Buffer.from(text, 'base64')),
  );
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : printable(fromText(JSON.stringify(value).slice(0, 200)));
}

function malformed(what: string): PinfsError {
  return new PinfsError('ATTESTATION_MALFORMED', `the attestation ${what}`, {
    advice: '`pinfs attest` makes such files',
  });
}
