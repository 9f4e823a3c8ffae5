import { constants, privateEncrypt, type KeyObject } from 'node:crypto';
import { fingerprintOf, type Certificate } from '../../format/certificate.js';
import type { HashAlgorithm } from '../../format/hash.js';
import { fingerprintText } from '../../format/whitelist.js';
import { envelopeText } from '../envelope.js';

export interface WhitelistFacts {
  readonly fqrn: string;
  /** Whose signatures of manifests count. */
  readonly certificates: readonly Certificate[];
  readonly algorithm: HashAlgorithm;
  readonly now: Date;
  readonly days: number;
}

const dayMs = 86_400_000;

/** A whitelist, signed by the master key (docs/format.md, 4.1 and 4.3: the hash line itself, padded). */
export function makeWhitelist(facts: WhitelistFacts, master: KeyObject): Buffer {
  const { fqrn, certificates, algorithm, now, days } = facts;
  const lines = [
    dateDigits(now),
    `E${dateDigits(new Date(now.getTime() + days * dayMs))}`,
    `N${fqrn}`,
    ...new Set(certificates.map((one) => fingerprintText(fingerprintOf(one, algorithm)))),
  ];
  const { text, hash } = envelopeText(lines, algorithm);
  const padding = constants.RSA_PKCS1_PADDING;
  return Buffer.concat([text, privateEncrypt({ key: master, padding }, hash)]);
}

/** YYYYMMDDhhmmss, UTC. */
function dateDigits(date: Date): string {
  return date.toISOString().replace(/\D/g, '').slice(0, 14);
}
