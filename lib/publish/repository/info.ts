import { findFingerprint, fingerprintOf } from '../../format/certificate.js';
import { isExpired, fingerprintText } from '../../format/whitelist.js';
import { isoTime } from '../../format/time.js';
import { historyOf } from '../revision/history.js';
import { readObject } from '../revision/read-objects.js';
import type { Storage } from '../storage/storage.js';
import { readStoredHead } from './head.js';

/** What a storage says of its repository. Nothing of it is verified: `pinfs repo check` does that. */
export interface RepositoryInfo {
  readonly fqrn: string;
  readonly storage: string;
  readonly revision: number;
  readonly rootHash: string;
  readonly published: string;
  readonly algorithm: string;
  readonly collectable: boolean;
  readonly tags: number;
  readonly certificate: {
    readonly fingerprint: string;
    readonly bits: number;
    readonly listed: boolean;
  };
  readonly whitelist: { readonly expires: string; readonly expired: boolean };
}

/** @throws PinfsError */
export async function repositoryInfo(
  storage: Storage,
  fqrn: string,
  now: Date,
): Promise<RepositoryInfo> {
  const { manifest, certificate, whitelist } = await readStoredHead(storage, fqrn);
  const { rootHash, history } = manifest;
  const tags =
    history === undefined
      ? []
      : historyOf(await readObject(storage, { kind: 'history', hash: history }), fqrn).tags;
  return {
    fqrn,
    storage: storage.name,
    revision: manifest.revision,
    rootHash: rootHash.text,
    published: isoTime(manifest.published),
    algorithm: rootHash.algorithm,
    collectable: manifest.collectable,
    tags: tags.length,
    certificate: {
      fingerprint: fingerprintText(fingerprintOf(certificate, rootHash.algorithm)),
      bits: certificate.bits,
      listed: findFingerprint(certificate, whitelist.fingerprints) !== undefined,
    },
    whitelist: { expires: whitelist.expires, expired: isExpired(whitelist, now) },
  };
}
