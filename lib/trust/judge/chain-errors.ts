import { printable } from '../../format/bytes.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import type { MasterKey } from '../files/keys.js';

/* Errors of the chain that more than one step, or more than one file, can end with. */

/** RSA keys below this are refused unless the user says otherwise. */
export const keyBitsMin = 2048;

/** The repository's name in a signed file is another one, or lacks. `name`: bytes from the file. */
export function nameMismatch(
  code: ErrorCode,
  file: string,
  name: string | undefined,
  fqrn: string,
): PinfsError {
  const found =
    name === undefined
      ? `the ${file} names no repository`
      : `the ${file} is that of "${printable(name.slice(0, 200))}"`;
  return new PinfsError(code, `${found}, not of ${fqrn}`, {
    advice: 'if the source holds that repository under another name, say so with --fqrn NAME',
  });
}

export function hashMismatch(
  code: ErrorCode,
  file: string,
  hashLine: string,
  expected: string | undefined,
): PinfsError {
  const found = `"${printable(hashLine.slice(0, 80))}"`;
  const what =
    expected === undefined
      ? `has a hash line that is no hash: ${found}`
      : `does not match its hash line: it says ${found}, and is ${expected}`;
  return new PinfsError(code, `the ${file} ${what}`);
}

export function noKey(fqrn: string): PinfsError {
  return new PinfsError('NO_KEY', `there is no master key for ${fqrn} on this machine`, {
    advice:
      'get the key from the publisher and give it with --key FILE; ' +
      'or pin by root hash (SOURCE@HASH), which needs no key',
  });
}

export function weakKey(what: string, bits: number): PinfsError {
  return new PinfsError(
    'KEY_WEAK',
    `${what} has ${bits} bits only; keys below ${keyBitsMin} bits can be broken`,
    { advice: '--weak-key accepts it nevertheless' },
  );
}

export function notSigned(
  fqrn: string,
  keys: readonly MasterKey[],
  signatureBytes: number,
): PinfsError {
  const names = keys.slice(0, 5).map((key) => (key.shipped ? `${key.name} (shipped)` : key.name));
  const more = keys.length > names.length ? ` and ${keys.length - names.length} more` : '';
  const message =
    signatureBytes === 0
      ? `the whitelist of ${fqrn} has no signature`
      : `the whitelist of ${fqrn} is not signed by any of the master keys: ${names.join(', ')}${more}`;
  return new PinfsError('WHITELIST_SIGNATURE', message, {
    advice:
      'give the master key of the repository with --key FILE; ' +
      'or pin by root hash (SOURCE@HASH), which needs no key',
  });
}
