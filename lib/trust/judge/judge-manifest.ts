import type { Certificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import { checkHashLine } from '../../format/signed-envelope.js';
import { emptyPathHash, parseManifest, type Manifest } from '../../format/manifest.js';
import { hashMismatch, keyBitsMin, nameMismatch, weakKey } from './chain-errors.js';
import { evidenceError, storedCertificate, type Evidence } from './evidence.js';
import type { SeenHead } from '../memory/seen-facts.js';
import { verifyManifestSignature } from './signature.js';
import { failed, isoTimeOrNone, notChecked, passed, type StepLog } from '../verdict/steps.js';

export function manifestSteps(
  log: StepLog,
  given: Evidence['manifest'],
  fqrn: string,
): Manifest | undefined {
  const manifest =
    given instanceof PinfsError ? evidenceError(given, 'manifest') : parseManifest(given);
  if (manifest instanceof PinfsError) {
    failed(log, 'manifest-syntax', manifest);
    notChecked(log, 'manifest-name', 'there is no manifest to look at');
    notChecked(log, 'manifest-root-path', 'there is no manifest to look at');
    notChecked(log, 'manifest-hash', 'there is no manifest to look at');
    return undefined;
  }
  passed(log, 'manifest-syntax', `revision ${manifest.revision}`);
  if (manifest.name === fqrn) passed(log, 'manifest-name', fqrn);
  else
    failed(
      log,
      'manifest-name',
      nameMismatch('MANIFEST_NAME_MISMATCH', 'manifest', manifest.name, fqrn),
    );

  if (manifest.rootPathHash === emptyPathHash)
    passed(log, 'manifest-root-path', 'the root of the repository');
  else {
    failed(
      log,
      'manifest-root-path',
      new PinfsError(
        'MANIFEST_ROOT_PATH',
        `the manifest is that of a directory inside the repository (root path hash ${manifest.rootPathHash})`,
      ),
    );
  }
  const hash = checkHashLine(manifest.envelope);
  if (hash.matches) passed(log, 'manifest-hash', manifest.envelope.hashLine);
  else {
    failed(
      log,
      'manifest-hash',
      hashMismatch('MANIFEST_HASH_MISMATCH', 'manifest', manifest.envelope.hashLine, hash.expected),
    );
  }
  return manifest;
}

export function certificateStep(
  log: StepLog,
  manifest: Manifest | undefined,
  given: Evidence['certificate'],
): Certificate | undefined {
  if (manifest === undefined) {
    notChecked(log, 'certificate', 'there is no manifest to name it');
    return undefined;
  }
  if (manifest.certificate === undefined) {
    failed(
      log,
      'certificate',
      new PinfsError('MANIFEST_INCOMPLETE', 'the manifest names no certificate (line X)'),
    );
    return undefined;
  }
  const certificate = storedCertificate(given, manifest.certificate);
  if (certificate instanceof PinfsError) {
    failed(log, 'certificate', certificate);
    return undefined;
  }
  passed(log, 'certificate', `object ${manifest.certificate.text}, RSA ${certificate.bits} bits`);
  return certificate;
}

export function manifestSignatureStep(
  log: StepLog,
  manifest: Manifest | undefined,
  certificate: Certificate | undefined,
  acceptWeak: boolean,
): void {
  const step = 'manifest-signature';
  if (manifest === undefined) {
    notChecked(log, step, 'there is no manifest to look at');
    return;
  }
  if (certificate === undefined) {
    notChecked(log, step, 'there is no certificate to check it with');
    return;
  }
  if (!checkHashLine(manifest.envelope).matches) {
    notChecked(log, step, 'what is signed is the hash line, which does not match the text');
    return;
  }
  const { hashLine, signature } = manifest.envelope;
  if (!verifyManifestSignature(hashLine, signature, certificate.publicKey)) {
    const what = signature.length === 0 ? 'has no signature' : 'is not signed by its certificate';
    failed(log, step, new PinfsError('MANIFEST_SIGNATURE', `the manifest ${what}`));
    return;
  }
  if (certificate.bits < keyBitsMin && !acceptWeak) {
    failed(log, step, weakKey('the key of the signing certificate', certificate.bits));
    return;
  }
  passed(log, step, 'RSA, over the hash line');
}

/** Neither revision nor time of publishing may go back (docs/format.md, 9.7). */
export function revisionStep(
  log: StepLog,
  manifest: Manifest | undefined,
  seen: SeenHead | undefined,
): void {
  const step = 'revision';
  if (manifest === undefined) {
    notChecked(log, step, 'there is no manifest to look at');
    return;
  }
  if (seen === undefined) {
    notChecked(log, step, 'nothing to compare with: not verified here before, or pinned');
    return;
  }
  const { revision, published, rootHash } = manifest;
  if (revision === seen.revision && rootHash.text !== seen.rootHash) {
    failed(
      log,
      step,
      new PinfsError(
        'REVISION_CHANGED',
        `revision ${revision} has the root hash ${rootHash.text}, and had ${seen.rootHash} when it was verified here`,
        { advice: 'ask the publisher which is right; `pinfs forget FQRN` accepts the new one' },
      ),
    );
    return;
  }
  if (revision < seen.revision || published < seen.published) {
    failed(
      log,
      step,
      new PinfsError(
        'ROLLBACK',
        `the server offers revision ${revision} of ${isoTimeOrNone(published) ?? 'an unknown time'}; ` +
          `verified here before: revision ${seen.revision} of ${isoTimeOrNone(seen.published) ?? 'an unknown time'}`,
        { advice: 'it may lag behind: try another server; or pin the older revision on purpose' },
      ),
    );
    return;
  }
  passed(log, step, `not older than revision ${seen.revision}, verified here before`);
}
