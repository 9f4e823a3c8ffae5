import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { closeSync, fchmodSync, openSync, unlinkSync, writeSync } from 'node:fs';
import nacl from 'tweetnacl';
import { PinfsError } from '../../format/errors.js';
import { fileError } from '../../format/file-fault.js';

/* Ed25519 keys for attestations, in the PEM forms that OpenSSL and others read. */

export interface SecretKey {
  /** 64 bytes: seed and public key, as NaCl has it. */
  readonly secretKey: Uint8Array;
  readonly keyid: string;
}

/** Somebody whose attestations are accepted. */
export interface Signer {
  /** For people: where the key was read. */
  readonly name: string;
  readonly publicKey: Uint8Array;
  /** SHA-256 (hex) of the key's SubjectPublicKeyInfo. */
  readonly keyid: string;
}

export interface KeyPair {
  /** PKCS#8 */
  readonly secretPem: string;
  /** SubjectPublicKeyInfo */
  readonly publicPem: string;
  readonly keyid: string;
}

export function generateKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    secretPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyid: keyidOf(publicKey),
  };
}

/**
 * Writes the secret key to `path` (mode 0600) and the public one to `path`.pub. Neither may exist.
 * @throws PinfsError USAGE
 */
export function writeKeyPair(path: string, pair: KeyPair): void {
  writeNew(path, pair.secretPem, 0o600);
  try {
    writeNew(`${path}.pub`, pair.publicPem, 0o644);
  } catch (error) {
    // A secret key that nobody has the public one of is of no use.
    unlinkSync(path);
    throw error;
  }
}

/** Reads a secret key, PKCS#8 PEM; `name`: of its file. @throws PinfsError KEY_MALFORMED */
export function readSecretKey(bytes: Buffer, name = 'the secret key'): SecretKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(bytes);
  } catch (cause) {
    throw malformed(name, 'is not a readable private key (PEM, not encrypted)', cause);
  }
  const seed = rawKey(key, 'd', name);
  const pair = nacl.sign.keyPair.fromSeed(seed);
  return { secretKey: pair.secretKey, keyid: keyidOf(createPublicKey(key)) };
}

/** Reads a public key, PEM. @throws PinfsError KEY_MALFORMED */
export function readSigner(bytes: Buffer, name: string): Signer {
  // Node would make a public key out of a private one, and the user should know what was given.
  if (bytes.includes('PRIVATE KEY-----')) {
    throw malformed(name, 'is a private key, not the public one');
  }
  let key: KeyObject;
  try {
    key = createPublicKey(bytes);
  } catch (cause) {
    throw malformed(name, 'is not a readable public key (PEM)', cause);
  }
  const publicKey = rawKey(key, 'x', name);
  return { name, publicKey, keyid: keyidOf(key) };
}

function rawKey(key: KeyObject, field: 'd' | 'x', name: string): Buffer {
  if (key.asymmetricKeyType !== 'ed25519') throw malformed(name, 'is not an Ed25519 key');
  const raw = Buffer.from(key.export({ format: 'jwk' })[field] ?? '', 'base64url');
  if (raw.length !== nacl.sign.publicKeyLength) throw malformed(name, 'is not an Ed25519 key');
  return raw;
}

function keyidOf(publicKey: KeyObject): string {
  const info = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(info).digest('hex');
}

function writeNew(path: string, text: string, mode: number): void {
  let file: number;
  try {
    file = openSync(path, 'wx', mode);
  } catch (cause) {
    throw fileError('USAGE', 'write', 'the key file', path, cause);
  }
  try {
    fchmodSync(file, mode);
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
}

function malformed(name: string, what: string, cause?: unknown): PinfsError {
  return new PinfsError('KEY_MALFORMED', `${name} ${what}`, {
    advice: '`pinfs key generate` makes keys',
    ...(cause === undefined ? {} : { cause }),
  });
}
