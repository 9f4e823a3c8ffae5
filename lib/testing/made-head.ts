import { deflateSync } from 'node:zlib';
import { emptyBlacklist } from '../format/blacklist.js';
import type { ErrorCode } from '../format/errors.js';
import { hashBytes } from '../format/hash.js';
import {
  judgeHead,
  type Evidence,
  type JudgeContext,
  type Judgement,
} from '../trust/judge/judge.js';
import { parseMasterKeys } from '../trust/files/keys.js';
import { testCertificate, testMasterKey } from '../publish/keys.js';
import {
  fingerprint,
  rootPathHash,
  signManifest,
  signWhitelist,
  whitelistLines,
} from '../publish/signing.js';

/* A signed head without a repository behind it, and its judgement with parts replaced. */

export const fqrn = 'repo.example.org';
export const rootHash = '1'.repeat(40);
export const certificate = deflateSync(testCertificate.certificate);

export function manifestLines(
  certificateObject = certificate,
  revision = 5,
  published = 1_600_000_000,
): string[] {
  return [
    `C${rootHash}`,
    `R${rootPathHash}`,
    'D240',
    `S${revision}`,
    `N${fqrn}`,
    `X${hashBytes('sha1', certificateObject).text}`,
    `T${published}`,
  ];
}

export const good: Evidence = {
  manifest: signManifest(manifestLines()),
  whitelist: signWhitelist(whitelistLines(fqrn, [fingerprint()])),
  certificate,
};

export const keys = parseMasterKeys(testMasterKey.publicKey, 'test.pub');

export function judgeMade(
  evidence: Partial<Evidence> = {},
  context: Partial<JudgeContext> = {},
): Judgement {
  return judgeHead(
    { ...good, ...evidence },
    {
      fqrn,
      keys,
      now: new Date('2026-01-01T00:00:00Z'),
      trustAt: undefined,
      blacklist: emptyBlacklist,
      seen: undefined,
      weakKey: false,
      ...context,
    },
  );
}

export function codeOf(
  evidence: Partial<Evidence> = {},
  context: Partial<JudgeContext> = {},
): ErrorCode | undefined {
  const { failure, verdict } = judgeMade(evidence, context);
  if ((failure === undefined) !== (verdict.status === 'verified'))
    throw new Error('verdict and failure differ');
  if (failure?.code !== verdict.reasons[0]?.code) throw new Error('reasons and failure differ');
  return failure?.code;
}
