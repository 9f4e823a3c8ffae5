import nacl from 'tweetnacl';
import { printable, fromText } from '../../format/bytes.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import { isRepositoryName } from '../../format/names.js';
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
  const envelope = fieldsOf(parseJson(bytes, 'attestation'), 'the envelope');
  if (envelope['payloadType'] !== payloadType) {
    throw malformed(`has the payload type ${show(envelope['payloadType'])}, not ${payloadType}`);
  }
  const payload = base64(envelope['payload'], 'payload');
  const signatures = envelope['signatures'];
  if (!Array.isArray(signatures) || signatures.length > limits.signatures) {
    throw malformed(`has no list of at most ${limits.signatures} signatures`);
  }
  const message = encodePreAuth(payload);
  // `keyid` is a hint that nobody signed, so every signer is tried.
  const found = signatures
    .map((signature) => base64(fieldsOf(signature, 'a signature')['sig'], 'signature'))
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

function readStatement(payload: Buffer): Attestation {
  const fields = fieldsOf(parseJson(payload, 'statement'), 'the statement');
  if (fields['_type'] !== statementType) throw malformed('is no in-toto Statement v1');
  if (fields['predicateType'] !== predicateType) {
    throw malformed(`attests ${show(fields['predicateType'])}, not ${predicateType}`);
  }
  const subjects = fields['subject'];
  if (!Array.isArray(subjects) || subjects.length !== 1) throw malformed('has not one subject');
  const digest = fieldsOf(fieldsOf(subjects[0], 'its subject')['digest'], 'its digest');
  const predicate = fieldsOf(fields['predicate'], 'its predicate');
  const { repository, rootHash, revision, tag, time } = predicate;
  const sha256 = digest['sha256'];
  if (typeof repository !== 'string' || !isRepositoryName(repository)) {
    throw malformed(`names the repository ${show(repository)}`);
  }
  if (typeof rootHash !== 'string' || parseHash(rootHash) === undefined) {
    throw malformed(`has the root hash ${show(rootHash)}`);
  }
  if (digest['cvmfsRootHash'] !== rootHash) throw malformed('has two root hashes');
  if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw malformed(`has the SHA-256 ${show(sha256)}`);
  }
  if (typeof revision !== 'number' || !Number.isSafeInteger(revision) || revision < 0) {
    throw malformed(`has the revision ${show(revision)}`);
  }
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time))) {
    throw malformed(`has the time ${show(time)}`);
  }
  if (tag !== null && typeof tag !== 'string') throw malformed(`has the tag ${show(tag)}`);
  return { repository, rootHash, rootCatalogSha256: sha256, revision, tag: tag ?? undefined, time };
}

/** Pre-authentication encoding of DSSE v1: what is signed. */
function encodePreAuth(payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head, 'utf8'), payload]);
}

function parseJson(bytes: Buffer, what: string): unknown {
  if (bytes.length > limits.envelope) throw malformed(`is larger than ${limits.envelope} bytes`);
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch {
    throw malformed(`is no JSON (${what})`);
  }
}

function fieldsOf(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw malformed(`is broken: ${what} is no object`);
  }
  return value as Record<string, unknown>;
}

/** DSSE allows the URL-safe alphabet as well as the standard one; Node reads both. */
function base64(value: unknown, what: string): Buffer {
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) {
    throw malformed(`has a ${what} that is no base64`);
  }
  return Buffer.from(value, 'base64');
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : printable(fromText(JSON.stringify(value).slice(0, 200)));
}

function malformed(what: string, code: ErrorCode = 'ATTESTATION_MALFORMED'): PinfsError {
  return new PinfsError(code, `the attestation ${what}`, {
    advice: '`pinfs attest` makes such files',
  });
}
