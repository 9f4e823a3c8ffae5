import { createHash } from 'node:crypto';
import { readGiven } from '../../files/given.js';
import { PinfsError } from '../../format/errors.js';
import { parseHash } from '../../format/hash.js';
import { readWhole } from '../../store/run.js';
import {
  checkAttestation,
  readSigner,
  verifyAttestation,
  type Attestation,
} from '../../trust/attest/attest.js';
import { attestedVerdict } from '../../trust/verdicts.js';
import { rootWant } from './head.js';
import type { Opening } from './opening.js';
import { refuseBannedSignature, refuseBlacklisted, signatureFor } from './pinned.js';
import type { Repository } from '../repository.js';
import type { ResolvedSnapshot } from './snapshot.js';

const fileBytesMax = 64 * 1024;

/** Exactly what was attested, or an error. @throws PinfsError ATTESTATION_*, KEY_MALFORMED, USAGE. */
export async function resolveAttested(
  opening: Opening,
  file: string,
  signal: AbortSignal,
): Promise<ResolvedSnapshot> {
  const signerFiles = opening.options.signers ?? [];
  if (signerFiles.length === 0) {
    throw new PinfsError('USAGE', 'an attestation needs somebody who may have signed it', {
      advice: 'Give the public key with --signer PUB.',
    });
  }
  const signers = signerFiles.map((path) => readSigner(readSmallFile(path), path));
  const { attestation, signer } = verifyAttestation(readSmallFile(file), signers);
  const hash = parseHash(attestation.rootHash);
  if (hash === undefined) throw new PinfsError('ATTESTATION_MALFORMED', 'the root hash is none');
  checkPin(opening, attestation);
  checkAttestation(attestation, { repository: opening.fqrn, rootHash: hash.text });
  const signature = await signatureFor(opening, hash, signal);
  refuseBannedSignature(signature);
  return {
    root: rootWant(hash, undefined),
    tag: attestation.tag,
    judge: ({ properties, sha256 }) => {
      refuseBlacklisted(opening, properties.revision, hash.text);
      checkAttestation(attestation, {
        repository: opening.fqrn,
        rootHash: hash.text,
        revision: properties.revision,
        rootCatalogSha256: sha256(),
      });
      const now = opening.environment.now();
      return attestedVerdict({ attestation, signer, rootHash: hash, now, signature });
    },
    record: () => undefined,
  };
}

/** A pin given beside the attestation must mean the same. */
function checkPin(opening: Opening, attestation: Attestation): void {
  const { pin } = opening;
  const other =
    (pin.kind === 'hash' && pin.hash.text !== attestation.rootHash && pin.hash.text) ||
    (pin.kind === 'name' && pin.text !== attestation.tag && pin.text);
  if (other === false) return;
  throw new PinfsError(
    'ATTESTATION_MISMATCH',
    `the attestation is for ${attestation.tag ?? attestation.rootHash}, and ${other} was asked for`,
  );
}

function readSmallFile(path: string): Buffer {
  try {
    return readGiven(path, fileBytesMax);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PinfsError('USAGE', `${path} cannot be read: ${reason}`, { cause });
  }
}

/** What an open snapshot is, for somebody to sign. */
export async function attestationOf(repository: Repository, now: Date): Promise<Attestation> {
  const { identity, root } = repository.descriptor;
  const catalog = await readWhole(repository.store, root);
  return {
    repository: repository.fqrn,
    rootHash: identity.rootHash,
    rootCatalogSha256: createHash('sha256').update(catalog).digest('hex'),
    revision: identity.revision,
    tag: identity.tag,
    time: now.toISOString(),
  };
}
