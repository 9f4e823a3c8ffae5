import { createPublicKey, type KeyObject } from 'node:crypto';
import { parseCertificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import type { HashAlgorithm } from '../../format/hash.js';
import { parseManifest, type Manifest } from '../../format/manifest.js';
import { checkHashLine } from '../../format/signed-envelope.js';
import { verifyManifestSignature } from '../../trust/judge/signature.js';
import type { Storage } from '../storage/storage.js';
import type { HeadBefore } from './commit.js';
import { historyOf } from './history.js';
import { readObject } from './read-objects.js';

/** What a storage says is the newest revision, with the signature of its certificate. */
export interface Head extends HeadBefore {
  readonly manifest: Manifest;
}

const manifestBytesMax = 2 ** 20;
const reflogBytesMax = 2 ** 30;

/**
 * Reads the head of a repository. Only what the key signed is built upon: else what somebody else put there would be
 * signed with it.
 * @param key undefined where nothing is going to be signed.
 * @throws PinfsError REPOSITORY_MISSING, SIGNING_KEY, MANIFEST_…, HISTORY_…
 */
export async function readHead(storage: Storage, fqrn: string, key?: KeyObject): Promise<Head> {
  const file = await storage.read('.cvmfspublished', manifestBytesMax);
  if (file === undefined)
    throw new PinfsError('REPOSITORY_MISSING', `there is no repository in ${storage.name}`, {
      advice: `Make it: pinfs repo create ${fqrn} --storage ${storage.name}`,
    });
  const manifest = parseManifest(file.bytes);
  if (manifest instanceof PinfsError) throw manifest;
  const { name, certificate, history } = manifest;
  if (name !== fqrn)
    throw new PinfsError(
      'REPOSITORY_MISSING',
      `the repository in ${storage.name} is ${name ?? 'one without a name'}, not ${fqrn}`,
    );
  if (certificate === undefined)
    throw new PinfsError('MANIFEST_MALFORMED', 'the manifest names no certificate');
  const pem = await readObject(storage, { kind: 'certificate', hash: certificate });
  checkSignature(manifest, pem, key);
  return {
    manifest,
    version: file.version,
    history:
      history === undefined
        ? { tags: [], branches: [], properties: new Map() }
        : {
            ...historyOf(await readObject(storage, { kind: 'history', hash: history }), fqrn),
            hash: history,
          },
    reflog: await storage.read('.cvmfsreflog', reflogBytesMax),
  };
}

function checkSignature(manifest: Manifest, pem: Buffer, key: KeyObject | undefined): void {
  const certificate = parseCertificate(pem);
  if (certificate instanceof PinfsError) throw certificate;
  if (key !== undefined && !createPublicKey(key).equals(certificate.publicKey))
    throw new PinfsError(
      'SIGNING_KEY',
      'the key is not that of the certificate of the repository',
      {
        advice: 'Give the one that is with --signing-key.',
      },
    );
  const { envelope } = manifest;
  const isSigned =
    checkHashLine(envelope).matches &&
    verifyManifestSignature(envelope.hashLine, envelope.signature, certificate.publicKey);
  if (!isSigned)
    throw new PinfsError('MANIFEST_SIGNATURE', 'the manifest is not signed with this key', {
      advice: 'Somebody changed it: nothing is published on top of it.',
    });
}

/** The hash that a repository uses now. @throws PinfsError as readHead */
export async function hashAlgorithmOf(storage: Storage, fqrn: string): Promise<HashAlgorithm> {
  return (await readHead(storage, fqrn)).manifest.rootHash.algorithm;
}
