import { createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { parseCertificate, type Certificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import type { ObjectWriter } from '../objects/content.js';
import { commitHead } from '../revision/commit.js';
import { readHead } from '../revision/head.js';
import type { Storage } from '../storage/storage.js';
import { checkOwnHead, readStoredHead, type StoredHead } from './head.js';
import { secretKeyAt } from './keys.js';
import { makeWhitelist } from './whitelist.js';

/** What the master key is needed for. */
export interface SigningRequest {
  readonly fqrn: string;
  /** Whoever calls holds its lock. */
  readonly storage: Storage;
  readonly masterKey: KeyObject;
  readonly now: Date;
  /** How long the whitelist counts. */
  readonly days: number;
}

/**
 * Signs the whitelist anew, for the certificate that signs the newest revision and for no other.
 * @returns until when it counts. @throws PinfsError
 */
export async function resign(request: SigningRequest): Promise<Date> {
  const { fqrn, storage, masterKey } = request;
  const head = await readStoredHead(storage, fqrn);
  checkOwnHead(head, masterKey);
  await writeWhitelist(request, head, [head.certificate]);
  return new Date(request.now.getTime() + request.days * 86_400_000);
}

async function writeWhitelist(
  { fqrn, storage, masterKey, now, days }: SigningRequest,
  { manifest }: StoredHead,
  certificates: readonly Certificate[],
): Promise<void> {
  const { algorithm } = manifest.rootHash;
  const bytes = makeWhitelist({ fqrn, algorithm, certificates, now, days }, masterKey);
  await storage.write('.cvmfswhitelist', bytes);
}

export interface RotateRequest extends SigningRequest {
  readonly writer: ObjectWriter;
  /** Where the secret key lies that signs revisions; the new one takes its place. */
  readonly keyFile: string;
}

/**
 * Makes a new key for revisions, and signs the newest one with it. The old one stays beside it (`.old`), and on the
 * whitelist until that is signed anew: whoever has the old manifest still needs it. Interrupted, it goes on where it was.
 * @throws PinfsError
 */
export async function rotateKey(request: RotateRequest): Promise<Certificate> {
  const { fqrn, storage, writer, masterKey, now, keyFile } = request;
  const next = `${keyFile}.new`;
  const stored = await readStoredHead(storage, fqrn);
  checkOwnHead(stored, masterKey);
  const { key } = await secretKeyAt(next, '--signing-key');
  let { certificate } = stored;
  if (!createPublicKey(key).equals(certificate.publicKey)) {
    const { makeSigningCertificate } = await import('./certificate.js');
    const pem = Buffer.from(await makeSigningCertificate(fqrn, key, now));
    const made = parseCertificate(pem);
    if (made instanceof PinfsError) throw made;
    certificate = made;
    const object = await writer.storeBytes('certificate', pem);
    await writeWhitelist(request, stored, [made, stored.certificate]);
    const head = await readHead(storage, fqrn);
    const { rootHash, revision, rootSize, published } = head.manifest;
    const trunk = head.history.tags.find(({ name }) => name === 'trunk');
    await commitHead(
      { fqrn, storage, writer, key, time: Math.floor(now.getTime() / 1000) },
      { ...head, manifest: { ...head.manifest, certificate: object } },
      {
        root: {
          hash: rootHash.text,
          revision,
          size: rootSize ?? 0,
          timestamp: trunk?.timestamp ?? published,
        },
        history: head.history,
      },
    );
  }
  if (existsSync(keyFile)) renameSync(keyFile, `${keyFile}.old`);
  renameSync(next, keyFile);
  return certificate;
}
