import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readdirSync, statSync, type Stats } from 'node:fs';
import { readGiven } from '../../files/given.js';
import { fileFault } from '../../format/file-fault.js';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PinfsError } from '../../format/errors.js';
import { userDirectory } from '../../machine/places.js';

/** A public RSA key that may sign whitelists. */
export interface MasterKey {
  /** Where it was read. */
  readonly name: string;
  readonly key: KeyObject;
  /** Bits of the modulus. */
  readonly bits: number;
  /** SHA-256 of its SubjectPublicKeyInfo (DER), hex. */
  readonly sha256: string;
  /** It came with pinfs, and nobody on this machine chose it. */
  readonly shipped: boolean;
}

export interface KeyRequest {
  /** Files and directories that the user named (`--key`); if there are any, nothing else is used. */
  readonly given: readonly string[];
  /** The repository that the keys are for. */
  readonly fqrn: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** For tests: other places than the machine's. */
  readonly system?: string;
  readonly shipped?: string;
}

const limits = { fileBytes: 64 * 1024, files: 1000, entries: 10_000, depth: 8 };

/** Compiled files lie in `<out>/lib/trust`, keys in `share/keys` beside `<out>`. */
const shippedKeys = join(dirname(fileURLToPath(import.meta.url)), '../../../..', 'share/keys');

/**
 * The master keys that may vouch for a repository: those given, else those of the user, of the
 * system and shipped ones. Below the system's directory and among shipped keys, a folder named
 * like a domain (`cern.ch`) holds keys for the repositories of that domain only; this is how
 * CernVM-FS machines are set up.
 * @throws PinfsError KEY_MALFORMED for what was given and can't be used. Elsewhere, such files
 *   are passed over: a key that is lacking can only make a repository refused.
 */
export function loadKeys(request: KeyRequest): MasterKey[] {
  const keys =
    request.given.length > 0
      ? request.given.flatMap(givenKeys)
      : [
          ...foundKeys(userKeys(request.env), undefined, false),
          ...foundKeys(request.system ?? '/etc/cvmfs/keys', request.fqrn, false),
          ...foundKeys(request.shipped ?? shippedKeys, request.fqrn, true),
        ];
  const seen = new Set<string>();
  return keys.filter((key) => !seen.has(key.sha256) && seen.add(key.sha256));
}

/** The public keys in PEM text. @throws PinfsError KEY_MALFORMED, named after `name`. */
export function parseMasterKeys(pem: string, name: string, shipped = false): MasterKey[] {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw malformed(name, 'is a private key', 'give its public key, and keep this one to yourself');
  }
  const blocks = pem.match(
    /-----BEGIN (?:RSA )?PUBLIC KEY-----[^-]*-----END (?:RSA )?PUBLIC KEY-----/g,
  );
  if (blocks === null) {
    throw malformed(name, 'holds no public key', 'master keys begin with BEGIN PUBLIC KEY');
  }
  return blocks.map((block) => {
    let key: KeyObject;
    try {
      key = createPublicKey(block);
    } catch (cause) {
      throw malformed(name, 'holds a damaged public key', undefined, cause);
    }
    const bits = key.asymmetricKeyDetails?.modulusLength;
    if (key.asymmetricKeyType !== 'rsa' || bits === undefined) {
      throw malformed(name, 'holds a key that is not RSA');
    }
    return { name, key, bits, sha256: spkiSha256(key), shipped };
  });
}

/** SHA-256 (hex) of a public key's SubjectPublicKeyInfo. */
function spkiSha256(key: KeyObject): string {
  return createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** Whether a repository belongs to a domain: it is named so, or below it. */
export function isOfDomain(fqrn: string, domain: string): boolean {
  return fqrn === domain || fqrn.endsWith(`.${domain}`);
}

function givenKeys(path: string): MasterKey[] {
  let stats: Stats;
  try {
    stats = statSync(path);
  } catch (cause) {
    throw malformed(
      path,
      `cannot be read: ${fileFault(cause, 'read').why}`,
      'check the path given with --key or PINFS_KEY',
      cause,
    );
  }
  if (!stats.isDirectory()) return readKeyFile(path, false);
  const files = keyFiles(path);
  if (files.length === 0) {
    throw malformed(path, 'has no files *.pub', 'give the directory that holds the master keys');
  }
  return files.flatMap((file) => readKeyFile(file, false));
}

function userKeys(env: KeyRequest['env']): string | undefined {
  const base = userDirectory('XDG_CONFIG_HOME', env);
  return base === undefined ? undefined : join(base, 'pinfs', 'keys');
}

function foundKeys(
  root: string | undefined,
  fqrn: string | undefined,
  shipped: boolean,
): MasterKey[] {
  if (root === undefined) return [];
  const accepts = (folder: string): boolean =>
    fqrn === undefined || !folder.includes('.') || isOfDomain(fqrn, folder);
  return keyFiles(root, accepts).flatMap((file) => {
    try {
      return readKeyFile(file, shipped);
    } catch (error) {
      if (error instanceof PinfsError) return [];
      throw error;
    }
  });
}

/**
 * The files *.pub below a directory, in the order of their names. Links are followed, as key
 * directories are full of them; depth and number bound what a loop of links could do.
 */
function keyFiles(root: string, accepts: (folder: string) => boolean = () => true): string[] {
  const found: string[] = [];
  let looked = 0;
  const walk = (directory: string, depth: number): void => {
    let names: string[];
    try {
      names = readdirSync(directory).sort();
    } catch {
      return;
    }
    for (const name of names) {
      if (++looked > limits.entries || found.length >= limits.files) return;
      const path = join(directory, name);
      const stats = statOf(path);
      if (stats?.isDirectory() === true) {
        if (depth < limits.depth && accepts(name)) walk(path, depth + 1);
      } else if (stats?.isFile() === true && name.endsWith('.pub')) found.push(path);
    }
  };
  walk(root, 1);
  return found;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function readKeyFile(path: string, shipped: boolean): MasterKey[] {
  let text: string;
  try {
    const stats = statSync(path);
    // A pipe or a device could make reading endless.
    if (!stats.isFile()) throw malformed(path, 'is not a file');
    if (stats.size > limits.fileBytes) throw malformed(path, 'is too large for a key');
    text = readGiven(path, limits.fileBytes).toString('latin1');
  } catch (cause) {
    if (cause instanceof PinfsError) throw cause;
    const { why, mend } = fileFault(cause, 'read');
    throw malformed(path, `cannot be read: ${why}`, mend, cause);
  }
  const name = shipped ? join(basename(dirname(path)), basename(path)) : path;
  return parseMasterKeys(text, name, shipped);
}

function malformed(name: string, what: string, advice?: string, cause?: unknown): PinfsError {
  return new PinfsError('KEY_MALFORMED', `${name} ${what}`, {
    ...(advice === undefined ? {} : { advice }),
    ...(cause === undefined ? {} : { cause }),
  });
}
