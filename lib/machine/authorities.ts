import { X509Certificate } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

/**
 * The authorities that this machine's administrator trusts, which curl and browsers know: Node has a list
 * of its own instead. The files are those of OpenSSL, Debian, Red Hat, SUSE, Alpine, Arch and the BSDs.
 */
const usualFiles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/ca-bundle.pem',
  '/var/lib/ca-certificates/ca-bundle.pem',
  '/etc/ssl/cert.pem',
  '/etc/ca-certificates/extracted/tls-ca-bundle.pem',
  '/usr/local/share/certs/ca-root-nss.crt',
];
const usualDirectories = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

/** A store that is larger is none: what is beyond these is not looked at. */
const limits = { totalBytes: 16 * 2 ** 20, files: 2048, certificates: 4096 };

type Variables = Readonly<Record<string, string | undefined>>;

/** Where authorities are looked for; SSL_CERT_FILE and SSL_CERT_DIR take the place of the usual ones, as in OpenSSL. */
function places({ SSL_CERT_FILE: file, SSL_CERT_DIR: directory, ...others }: Variables): {
  readonly files: readonly string[];
  readonly directories: readonly string[];
} {
  const extra = others['NODE_EXTRA_CA_CERTS'];
  return {
    files: [...(extra ? [extra] : []), ...(file ? [file] : usualFiles)],
    directories: directory ? directory.split(delimiter).filter(Boolean) : usualDirectories,
  };
}

const pem = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]{1,65536}-----END CERTIFICATE-----/g;

/**
 * The certificates of the system's store that Node does not have itself, as PEM. What can't be read,
 * or is no certificate, is left out: a broken store must not keep anybody from a server.
 */
export function systemAuthorities(variables: Variables = process.env): readonly string[] {
  const known = new Set(rootCertificates.map(plain));
  const found: string[] = [];
  for (const text of texts(variables)) {
    for (const [certificate] of text.matchAll(pem)) {
      const key = plain(certificate);
      if (known.has(key)) continue;
      known.add(key);
      if (!isCertificate(certificate)) continue;
      found.push(certificate);
      if (found.length >= limits.certificates) return found;
    }
  }
  return found;
}

/** Node's authorities and the system's; undefined where the system has no others. Takes some 50 ms. */
export function systemContext(variables: Variables = process.env): SecureContext | undefined {
  const more = systemAuthorities(variables);
  if (more.length === 0) return undefined;
  try {
    return createSecureContext({ ca: [...rootCertificates, ...more] });
  } catch {
    return undefined;
  }
}

function plain(certificate: string): string {
  return certificate.replaceAll(/\s/g, '');
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).raw.length > 0;
  } catch {
    return false;
  }
}

function* texts(variables: Variables): Generator<string> {
  const { files, directories } = places(variables);
  const inside = directories.flatMap((directory) => names(directory));
  let leftBytes = limits.totalBytes;
  for (const file of [...files, ...inside].slice(0, limits.files)) {
    const text = readText(file, leftBytes);
    leftBytes -= text.length;
    yield text;
  }
}

/** The certificates of a directory, in the form of c_rehash or by their names. */
function names(directory: string): string[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^[0-9a-f]{8}\.\d{1,4}$|\.(?:pem|crt)$/.test(name))
      .map((name) => join(directory, name));
  } catch {
    return [];
  }
}

/** Empty for what is no file, can't be read, or is larger. Never waits, whatever lies there. */
function readText(file: string, mostBytes: number): string {
  let fd: number | undefined;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = fstatSync(fd);
    if (!status.isFile() || status.size > mostBytes) return '';
    const bytes = Buffer.alloc(status.size);
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, 0));
  } catch {
    return '';
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
