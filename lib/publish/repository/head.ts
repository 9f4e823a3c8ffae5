import { createPublicKey, type KeyObject } from 'node:crypto';
import { findFingerprint, parseCertificate, type Certificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import { parseManifest, type Manifest } from '../../format/manifest.js';
import { checkHashLine } from '../../format/signed-envelope.js';
import { parseWhitelist, type Whitelist } from '../../format/whitelist.js';
import { verifyManifestSignature, verifyWhitelistSignature } from '../../trust/judge/signature.js';
import { readObject } from '../revision/read-objects.js';
import type { Storage } from '../storage/storage.js';

/** What stands in a storage as the newest revision, and who signed it. */
export interface StoredHead {
  readonly manifest: Manifest;
  readonly certificate: Certificate;
  readonly whitelist: Whitelist;
}

const signedBytesMax = 2 ** 20;

/**
 * Reads manifest, certificate and whitelist, with nothing verified but the certificate's hash.
 * @throws PinfsError REPOSITORY_MISSING, MANIFEST_…, WHITELIST_…, CERTIFICATE_MALFORMED, OBJECT_…
 */
export async function readStoredHead(storage: Storage, fqrn: string): Promise<StoredHead> {
  const file = await storage.read('.cvmfspublished', signedBytesMax);
  if (file === undefined) {
    throw new PinfsError('REPOSITORY_MISSING', `there is no repository in ${storage.name}`, {
      advice: `Make it: pinfs repo create ${fqrn} --storage ${storage.name}`,
    });
  }
  const manifest = orThrow(parseManifest(file.bytes));
  if (manifest.name !== fqrn) {
    const name = manifest.name ?? 'one without a name';
    const text = `the repository in ${storage.name} is ${name}, not ${fqrn}`;
    throw new PinfsError('REPOSITORY_MISSING', text);
  }
  const list = await storage.read('.cvmfswhitelist', signedBytesMax);
  if (list === undefined) {
    throw new PinfsError('WHITELIST_MISSING', `there is no .cvmfswhitelist in ${storage.name}`);
  }
  if (manifest.certificate === undefined) {
    throw new PinfsError('MANIFEST_MALFORMED', 'the manifest names no certificate');
  }
  const pem = await readObject(storage, { kind: 'certificate', hash: manifest.certificate });
  return {
    manifest,
    certificate: orThrow(parseCertificate(pem)),
    whitelist: orThrow(parseWhitelist(list.bytes)),
  };
}

/**
 * Holds that what stands there is of this master key: nothing is signed anew because somebody put it into the storage.
 * Dates don't count. @throws PinfsError MANIFEST_…, WHITELIST_…, CERTIFICATE_NOT_LISTED
 */
export function checkOwnHead(head: StoredHead, master: KeyObject): void {
  const { manifest, certificate, whitelist } = head;
  const advice = 'Somebody changed what lies in the storage, or the master key is another one.';
  const whitelisted =
    whitelist.name === manifest.name &&
    checkHashLine(whitelist.envelope).matches &&
    verifyWhitelistSignature(
      whitelist.envelope.hashLine,
      whitelist.envelope.signature,
      master.type === 'private' ? createPublicKey(master) : master,
    );
  if (!whitelisted) {
    const text = 'the whitelist in the storage was not signed by this master key';
    throw new PinfsError('WHITELIST_SIGNATURE', text, { advice });
  }
  const { envelope } = manifest;
  const signed =
    checkHashLine(envelope).matches &&
    verifyManifestSignature(envelope.hashLine, envelope.signature, certificate.publicKey);
  if (!signed) {
    const text = 'the manifest in the storage was not signed by the certificate that it names';
    throw new PinfsError('MANIFEST_SIGNATURE', text, { advice });
  }
  if (findFingerprint(certificate, whitelist.fingerprints) === undefined) {
    const text = 'the certificate of the manifest is not on the whitelist';
    throw new PinfsError('CERTIFICATE_NOT_LISTED', text, { advice });
  }
}

function orThrow<T>(parsed: T | PinfsError): T {
  if (parsed instanceof PinfsError) throw parsed;
  return parsed;
}
