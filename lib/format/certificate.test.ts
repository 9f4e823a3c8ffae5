import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { otherCertificate, testCertificate } from '../publish/keys.js';
import {
  findFingerprint,
  fingerprintOf,
  parseCertificate,
  type Certificate,
} from './certificate.js';
import { PinfsError } from './errors.js';
import { fingerprintText, parseFingerprint } from './whitelist.js';

// Made with: openssl req -x509 -newkey ec. Test-only.
const ellipticPem = `-----BEGIN CERTIFICATE-----
MIIBhTCCASugAwIBAgIUHqJzKbHmxQK6BKld2+/9T1dvUykwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMdGVzdC1vbmx5IGVjMCAXDTI2MTEyNDE5MDE1MloYDzIxMjYx
MDMxMTkwMTUyWjAXMRUwEwYDVQQDDAx0ZXN0LW9ubHkgZWMwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAAQNPXj6l7uKbcaNHk8HCW6xEtekp73PXiLs3wB2R0Oh4E+H
th7cehiYc40uTeABqjvPp14eB5kulWu65P0amp12o1MwUTAdBgNVHQ4EFgQUDoqZ
8gKukRoWo6eXGojblBZ5zVkwHwYDVR0jBBgwFoAUDoqZ8gKukRoWo6eXGojblBZ5
zVkwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiAFkqKo4b/M4tB5
ECqHrK0m2e5XNESFJpgmUO5OuxtuKAIhAOwsuMyABDsk2fCYXpKrIINbUCdEIGIQ
k+PzaFLH4yUN
-----END CERTIFICATE-----
`;

const pem = testCertificate.certificate;

function parsed(text: string): Certificate {
  const certificate = parseCertificate(Buffer.from(text));
  if (certificate instanceof PinfsError) throw certificate;
  return certificate;
}

void t.test('a certificate is a container for an RSA key', (t) => {
  t.equal(parsed(pem).bits, 2048);
  t.equal(parsed(pem.replaceAll('CERTIFICATE', 'X509 CERTIFICATE')).bits, 2048);
  t.end();
});

void t.test('its fingerprint is that of its DER form', (t) => {
  const certificate = parsed(pem);
  t.equal(
    fingerprintText(fingerprintOf(certificate, 'sha1')),
    new X509Certificate(pem).fingerprint,
  );
  t.end();
});

void t.test('a listed fingerprint is compared by its own algorithm', (t) => {
  const own = parsed(pem);
  const other = parsed(otherCertificate.certificate);
  for (const algorithm of ['sha1', 'rmd160', 'shake128'] as const) {
    const listed = fingerprintOf(own, algorithm);
    t.equal(findFingerprint(own, [fingerprintOf(other, 'sha1'), listed]), listed);
    t.equal(findFingerprint(other, [listed]), undefined);
  }
  // The digits of one algorithm under the name of another are no match.
  const mixed = parseFingerprint(`${fingerprintOf(own, 'sha1').text}-rmd160`);
  t.ok(mixed);
  t.equal(findFingerprint(own, mixed === undefined ? [] : [mixed]), undefined);
  t.end();
});

void t.test('anything else is malformed', (t) => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const der = new X509Certificate(pem).raw;
  const body = pem.replace(/MII/, 'MIJ');
  const spki = publicKey.export({ type: 'spki', format: 'pem' });
  for (const bytes of [
    Buffer.alloc(0),
    der,
    Buffer.from(body),
    Buffer.from(spki),
    Buffer.from(ellipticPem),
    Buffer.from('-----BEGIN '),
  ]) {
    const certificate = parseCertificate(bytes);
    t.equal(certificate instanceof PinfsError && certificate.code, 'CERTIFICATE_MALFORMED');
  }
  t.end();
});

void t.test('any bytes give a certificate or one error', (t) => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), (text) => {
      const bytes = Buffer.from(
        `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n`,
      );
      return parseCertificate(bytes) instanceof PinfsError;
    }),
  );
  t.end();
});
