// It has to be there before the library, whose parts find each other by it.
import 'reflect-metadata';
import { X509CertificateGenerator } from '@peculiar/x509';
import { createPublicKey, randomBytes, webcrypto, type KeyObject } from 'node:crypto';

/* Loaded only where a certificate is made: the library takes a while. */

const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const;
const nameMax = 30;
const validDays = 365;
const dayMs = 86_400_000;

/**
 * A certificate for a key that signs revisions, PEM, as the reference makes them (docs/format.md, 3.5): a container for
 * the key, of which clients look at nothing else.
 */
export async function makeSigningCertificate(
  fqrn: string,
  key: KeyObject,
  now: Date,
): Promise<string> {
  const { subtle } = webcrypto;
  const secret = key.export({ type: 'pkcs8', format: 'der' });
  const open = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const keys = {
    privateKey: await subtle.importKey('pkcs8', secret, algorithm, false, ['sign']),
    publicKey: await subtle.importKey('spki', open, algorithm, true, ['verify']),
  };
  const name = fqrn.length > nameMax ? `${fqrn.slice(0, nameMax)}[...]` : fqrn;
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      // Positive, and of no meaning.
      serialNumber: `01${randomBytes(15).toString('hex')}`,
      name: [{ CN: [`${name} CernVM-FS Release Managers`] }],
      notBefore: now,
      notAfter: new Date(now.getTime() + validDays * dayMs),
      keys,
      signingAlgorithm: algorithm,
    },
    webcrypto,
  );
  return `${certificate.toString('pem')}\n`;
}
