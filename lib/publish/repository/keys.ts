import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { readGiven } from '../../files/given.js';
import { makeDirectories } from '../../files/make.js';
import { quoted } from '../../format/bytes.js';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError } from '../../format/errors.js';
import { userDirectory, type Variables } from '../../machine/places.js';

/** Where the keys of a repository lie, as the reference names them. */
export interface KeyFiles {
  /** Secret: signs revisions. */
  readonly signing: string;
  /** Secret: signs the whitelist, and is needed for nothing else. */
  readonly master: string;
  /** The public half of the master key, which readers need. */
  readonly public: string;
}

interface GivenKeys {
  readonly signingKey?: string | undefined;
  readonly masterSigningKey?: string | undefined;
}

const keyBytesMax = 64 * 1024;
const keyBits = 2048;

/**
 * The key files of a repository: those given, else those in the directory in which this user's clients look for public
 * keys. @throws PinfsError USAGE: this user has no such directory.
 */
export function keyFilesOf(fqrn: string, given: GivenKeys, variables: Variables): KeyFiles {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(fqrn) || fqrn.includes('..')) {
    throw new PinfsError('USAGE', `${quoted(fqrn)} is no name of a repository`, {
      advice: 'It is like a host name: demo.example.org.',
    });
  }
  const base = userDirectory('XDG_CONFIG_HOME', variables);
  const usual = base === undefined ? undefined : join(base, 'pinfs', 'keys', fqrn);
  const file = (path: string | undefined, flag: string, suffix: string): string => {
    if (path !== undefined) return path;
    if (usual !== undefined) return `${usual}.${suffix}`;
    throw new PinfsError('USAGE', 'this user has no home for keys', {
      advice: `Name the file with ${flag}.`,
    });
  };
  const master = file(given.masterSigningKey, '--master-signing-key', 'masterkey');
  return {
    signing: file(given.signingKey, '--signing-key', 'key'),
    master,
    public: master.endsWith('.masterkey') ? master.replace(/masterkey$/, 'pub') : `${master}.pub`,
  };
}

/** Reads a secret RSA key (PEM). @throws PinfsError KEY_MALFORMED */
export function readSecretRsaKey(path: string, flag: string): KeyObject {
  const refuse = (what: string, cause?: unknown): PinfsError =>
    new PinfsError('KEY_MALFORMED', `the secret key ${path} ${what}`, {
      advice: `Name another one with ${flag}; \`pinfs repo create\` makes keys.`,
      cause,
    });
  let bytes: Buffer;
  try {
    bytes = readGiven(path, keyBytesMax);
  } catch (cause) {
    throw refuse(`can't be read: ${fileFault(cause, 'read').why}`, cause);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(bytes);
  } catch (cause) {
    throw refuse('is no private key (PEM, not encrypted)', cause);
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (key.asymmetricKeyType !== 'rsa') throw refuse('is not an RSA key');
  if (bits < keyBits) throw refuse(`has ${bits} bits only: clients want ${keyBits}`);
  return key;
}

/** The key in a file, which is made where there is none. @throws PinfsError KEY_MALFORMED, USAGE */
export async function secretKeyAt(
  path: string,
  flag: string,
): Promise<{ readonly key: KeyObject; readonly made: boolean }> {
  if (existsSync(path)) return { key: readSecretRsaKey(path, flag), made: false };
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: keyBits });
  writeNewFile(path, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600);
  return { key: privateKey, made: true };
}

function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString();
}

/** Writes the public half of a master key, unless it is there. @returns whether it was written. @throws PinfsError USAGE */
export function writePublicKey(path: string, master: KeyObject): boolean {
  const pem = publicPem(master);
  if (existsSync(path)) {
    if (readFileSync(path, 'latin1').trim() === pem.trim()) return false;
    throw new PinfsError('USAGE', `${path} is the public half of another key`, {
      advice: 'Put it away, or name another master key with --master-signing-key.',
    });
  }
  writeNewFile(path, pem, 0o644);
  return true;
}

/** The public master key, PEM: of its file, or of the secret one. @throws PinfsError KEY_MALFORMED */
export function publicMasterKey(files: KeyFiles): string {
  if (!existsSync(files.public))
    return publicPem(readSecretRsaKey(files.master, '--master-signing-key'));
  try {
    return createPublicKey(readGiven(files.public, keyBytesMax))
      .export({ type: 'spki', format: 'pem' })
      .toString();
  } catch (cause) {
    const text = `the public key ${files.public} can't be read: ${fileFault(cause, 'read').why}`;
    throw new PinfsError('KEY_MALFORMED', text, { cause });
  }
}

/** Writes a file of a key, durably; nothing is overwritten. @throws PinfsError USAGE */
function writeNewFile(path: string, text: string, mode: number): void {
  try {
    makeDirectories(dirname(path));
    const file = openSync(path, 'wx', mode);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    const { why, mend } = fileFault(cause, 'write');
    const text = `the key file ${path} can't be made: ${why}`;
    throw new PinfsError('USAGE', text, { advice: mend, cause });
  }
}
