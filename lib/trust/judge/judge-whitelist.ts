import { findFingerprint, fingerprintOf, type Certificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import type { ContentHash } from '../../format/hash.js';
import { checkHashLine } from '../../format/signed-envelope.js';
import {
  fingerprintText,
  isExpired,
  parseWhitelist,
  type Whitelist,
} from '../../format/whitelist.js';
import {
  hashMismatch,
  keyBitsMin,
  nameMismatch,
  noKey,
  notSigned,
  weakKey,
} from './chain-errors.js';
import { evidenceError, type Evidence, type JudgeContext } from './evidence.js';
import type { MasterKey } from '../files/keys.js';
import { verifyWhitelistSignature } from './signature.js';
import { failed, notChecked, passed, type StepLog } from '../verdict/steps.js';

export function whitelistSteps(
  log: StepLog,
  given: Evidence['whitelist'],
  context: JudgeContext,
): Whitelist | undefined {
  const whitelist =
    given instanceof PinfsError ? evidenceError(given, 'whitelist') : parseWhitelist(given);
  if (whitelist instanceof PinfsError) {
    failed(log, 'whitelist-syntax', whitelist);
    notChecked(log, 'whitelist-expiry', 'there is no whitelist to look at');
    notChecked(log, 'whitelist-name', 'there is no whitelist to look at');
    notChecked(log, 'whitelist-hash', 'there is no whitelist to look at');
    return undefined;
  }
  passed(log, 'whitelist-syntax', `fingerprints listed: ${whitelist.fingerprints.length}`);

  const at = context.trustAt ?? context.now;
  if (!isExpired(whitelist, at))
    passed(log, 'whitelist-expiry', `valid until ${whitelist.expires}`);
  else {
    failed(
      log,
      'whitelist-expiry',
      new PinfsError('WHITELIST_EXPIRED', `the whitelist expired at ${whitelist.expires}`, {
        advice:
          'to judge a repository of the past, say as of when: --trust-at DATE; or pin by root hash',
      }),
    );
  }
  if (whitelist.name === context.fqrn) passed(log, 'whitelist-name', context.fqrn);
  else {
    failed(
      log,
      'whitelist-name',
      nameMismatch('WHITELIST_NAME_MISMATCH', 'whitelist', whitelist.name, context.fqrn),
    );
  }
  const { hashLine } = whitelist.envelope;
  const hash = checkHashLine(whitelist.envelope);
  if (hash.matches) passed(log, 'whitelist-hash', hashLine);
  else
    failed(
      log,
      'whitelist-hash',
      hashMismatch('WHITELIST_HASH_MISMATCH', 'whitelist', hashLine, hash.expected),
    );
  return whitelist;
}

export function whitelistSignatureStep(
  log: StepLog,
  whitelist: Whitelist | undefined,
  context: JudgeContext,
): MasterKey | undefined {
  const step = 'whitelist-signature';
  if (context.keys.length === 0) {
    failed(log, step, noKey(context.fqrn));
    return undefined;
  }
  if (whitelist === undefined) {
    notChecked(log, step, 'there is no whitelist to look at');
    return undefined;
  }
  if (!checkHashLine(whitelist.envelope).matches) {
    notChecked(log, step, 'what is signed is the hash line, which does not match the text');
    return undefined;
  }
  const { hashLine, signature } = whitelist.envelope;
  const key = context.keys.find(({ key }) => verifyWhitelistSignature(hashLine, signature, key));
  if (key === undefined) {
    failed(log, step, notSigned(context.fqrn, context.keys, signature.length));
    return undefined;
  }
  if (key.bits < keyBitsMin && !context.weakKey) {
    failed(log, step, weakKey(`the master key ${key.name}`, key.bits));
    return undefined;
  }
  passed(log, step, `${key.shipped ? 'shipped key' : 'key'} ${key.name}`);
  return key;
}

export function fingerprintStep(
  log: StepLog,
  whitelist: Whitelist | undefined,
  certificate: Certificate | undefined,
): ContentHash | undefined {
  if (certificate === undefined || whitelist === undefined) {
    const lacks = certificate === undefined ? 'certificate' : 'whitelist';
    notChecked(log, 'fingerprint', `there is no ${lacks} to look at`);
    return undefined;
  }
  const listed = findFingerprint(certificate, whitelist.fingerprints);
  if (listed === undefined) {
    const own = fingerprintText(fingerprintOf(certificate, 'sha1'));
    failed(
      log,
      'fingerprint',
      new PinfsError(
        'CERTIFICATE_NOT_LISTED',
        `the signing certificate ${own} is not on the whitelist`,
      ),
    );
    return undefined;
  }
  passed(log, 'fingerprint', fingerprintText(listed));
  return listed;
}
