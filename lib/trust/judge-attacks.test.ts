import { generateKeyPairSync, sign } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import t from 'tap';
import { type ErrorCode } from '../format/errors.js';
import { hashBytes } from '../format/hash.js';
import { otherCertificate, testCertificate, testMasterKey } from '../publish/keys.js';
import { certificate, codeOf, fqrn, good, judgeMade, manifestLines } from '../testing/made-head.js';
import { fingerprint, signManifest, signWhitelist, whitelistLines } from '../publish/signing.js';

void t.test('each signature is refused in the form of the other', (t) => {
  const body = manifestLines()
    .map((line) => `${line}\n`)
    .join('');
  const manifestAsWhitelist = signWhitelist(manifestLines(), 'sha1', {
    publicKey: '',
    privateKey: testCertificate.privateKey,
  });
  t.ok(manifestAsWhitelist.toString('latin1').startsWith(body));
  t.equal(codeOf({ manifest: manifestAsWhitelist }), 'MANIFEST_SIGNATURE');
  const whitelist = signManifest(whitelistLines(fqrn, [fingerprint()]), 'sha1', {
    certificate: '',
    privateKey: testMasterKey.privateKey,
  });
  t.equal(codeOf({ whitelist }), 'WHITELIST_SIGNATURE');
  t.end();
});

void t.test('bytes added to, cut from or changed in a signature are noticed', (t) => {
  for (const [file, code] of [
    ['manifest', 'MANIFEST_SIGNATURE'],
    ['whitelist', 'WHITELIST_SIGNATURE'],
  ] as const) {
    const bytes = good[file] as Buffer;
    t.equal(codeOf({ [file]: Buffer.concat([bytes, Buffer.from('\n')]) }), code);
    t.equal(codeOf({ [file]: Buffer.concat([bytes, bytes.subarray(-256)]) }), code);
    t.equal(codeOf({ [file]: bytes.subarray(0, -1) }), code);
    t.equal(codeOf({ [file]: bytes.subarray(0, -256) }), code, 'no signature');
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(changed.length - 1) ^ 1, changed.length - 1);
    t.equal(codeOf({ [file]: changed }), code);
  }
  t.end();
});

void t.test('signatures with LF, NUL and "--" in them are taken as they are', (t) => {
  // The signature depends on the text, so revisions are tried until it has such bytes.
  const wanted: Record<string, boolean> = { '\n': false, '\0': false };
  for (let revision = 1; revision <= 200 && !Object.values(wanted).every(Boolean); revision++) {
    const manifest = signManifest(manifestLines(certificate, revision));
    const signature = manifest.subarray(-256).toString('latin1');
    for (const byte of Object.keys(wanted)) wanted[byte] ||= signature.includes(byte);
    if (signature.includes('\n') || signature.includes('\0'))
      t.equal(codeOf({ manifest }), undefined);
  }
  t.same(wanted, { '\n': true, '\0': true });
  t.end();
});

void t.test('what stands behind the first "--" is not read', (t) => {
  const text = manifestLines()
    .map((line) => `${line}\n`)
    .join('');
  const hash = hashBytes('sha1', Buffer.from(text)).text;
  const hidden = Buffer.from(`${text}--\n${hash}\nS99\n--\n${hash}\n`);
  const signature = sign('sha1', Buffer.from(hash), testCertificate.privateKey);
  const { failure, manifest } = judgeMade({ manifest: Buffer.concat([hidden, signature]) });
  t.equal(failure?.code, 'MANIFEST_SIGNATURE');
  t.equal(manifest?.revision, 5);
  t.end();
});

void t.test('a signature over other text does not count, though the hash line is right', (t) => {
  const other = signManifest(manifestLines(certificate, 6)).subarray(-256);
  const manifest = Buffer.concat([(good.manifest as Buffer).subarray(0, -256), other]);
  t.equal(codeOf({ manifest }), 'MANIFEST_SIGNATURE');
  const signed = signManifest(manifestLines(), 'sha1', otherCertificate);
  t.equal(codeOf({ manifest: signed }), 'MANIFEST_SIGNATURE', 'by another key');
  t.end();
});

void t.test('hash lines by every algorithm verify', (t) => {
  for (const algorithm of ['sha1', 'rmd160', 'shake128'] as const) {
    const whitelist = signWhitelist(
      whitelistLines(fqrn, [fingerprint(undefined, algorithm)]),
      algorithm,
    );
    t.equal(
      codeOf({ manifest: signManifest(manifestLines(), algorithm), whitelist }),
      undefined,
      algorithm,
    );
    t.equal(
      judgeMade({ whitelist }).verdict.fingerprint,
      fingerprint(undefined, algorithm).replace(/-.*/, (tail) => tail.toUpperCase()),
    );
  }
  t.end();
});

void t.test('fingerprints: case does not matter, their number does not, MD5 is none', (t) => {
  const listed = (...entries: string[]): ErrorCode | undefined =>
    codeOf({ whitelist: signWhitelist(whitelistLines(fqrn, entries)) });
  const own = fingerprint();
  t.equal(listed(own.toLowerCase()), undefined);
  t.equal(listed(own.replaceAll(':', '')), undefined);
  t.equal(listed(fingerprint(otherCertificate.certificate), `${own} # mine`), undefined);
  t.equal(listed(fingerprint(otherCertificate.certificate)), 'CERTIFICATE_NOT_LISTED');
  t.equal(listed(`# ${own}`), 'CERTIFICATE_NOT_LISTED');
  t.equal(listed(own.slice(0, 47)), 'CERTIFICATE_NOT_LISTED', 'of the length of an MD5');
  t.equal(listed(), 'CERTIFICATE_NOT_LISTED');
  t.equal(listed('Vpkcs7', own), 'WHITELIST_UNSUPPORTED');
  t.end();
});

void t.test('names are compared byte for byte', (t) => {
  for (const name of ['REPO.example.org', `${fqrn}\0`, `${fqrn} `, '', 'epo.example.org']) {
    const whitelist = signWhitelist(whitelistLines(name, [fingerprint()]));
    t.equal(codeOf({ whitelist }), 'WHITELIST_NAME_MISMATCH', JSON.stringify(name));
    const manifest = signManifest([...manifestLines(), `N${name}`]);
    t.equal(codeOf({ manifest }), 'MANIFEST_NAME_MISMATCH', JSON.stringify(name));
  }
  const hostile = signManifest([...manifestLines(), 'N\x1b]0;owned\x07']);
  t.notMatch(judgeMade({ manifest: hostile }).failure?.message, /[\x00-\x1f]/);
  t.end();
});

void t.test('no evidence but the whole chain is ever verified', (t) => {
  const bytes = (file: 'manifest' | 'whitelist' | 'certificate'): Buffer => good[file] as Buffer;
  fc.assert(
    fc.property(
      fc.constantFrom('manifest' as const, 'whitelist' as const, 'certificate' as const),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (file, at, flip) => {
        const changed = Buffer.from(bytes(file));
        const index = at % changed.length;
        changed.writeUInt8(changed.readUInt8(index) ^ flip, index);
        return codeOf({ [file]: changed }) !== undefined;
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

void t.test('keys other than RSA do not verify anything', (t) => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const key = { name: 'ed', key: publicKey, bits: 4096, sha256: '', shipped: false };
  t.equal(codeOf({}, { keys: [key] }), 'WHITELIST_SIGNATURE');
  t.end();
});

// Made with: openssl req -x509 -newkey rsa:1024 -nodes. Test-only: everyone knows this key.
const weakCertificate = {
  certificate: `-----BEGIN CERTIFICATE-----
MIICEDCCAXmgAwIBAgIUWWzZLsU8XwCH4DWw+XGTXZ8hvCwwDQYJKoZIhvcNAQEL
BQAwGTEXMBUGA1UEAwwOdGVzdC1vbmx5IHdlYWswIBcNMjYxMTI0MTkwMTUyWhgP
MjEyNjEwMzExOTAxNTJaMBkxFzAVBgNVBAMMDnRlc3Qtb25seSB3ZWFrMIGfMA0G
CSqGSIb3DQEBAQUAA4GNADCBiQKBgQCjYB6veu/9ltLiT3MpYW4D6DEhCAxGDY3L
Df4k3v7hBXBymEv64BDYWdEdwF2b67ZUjc1rof7j+EDwaYKZBWCkPvcbaYxHpFZM
O7kTHC3mkwHqZs5B94EB2NHRasYDzNjOFYxjTse5R/gJ/5w+4KcchtZE1AWox8aC
2a8HvMo8ZwIDAQABo1MwUTAdBgNVHQ4EFgQUQ23uwPIBD21Y8f4vwhWf0RvQtN4w
HwYDVR0jBBgwFoAUQ23uwPIBD21Y8f4vwhWf0RvQtN4wDwYDVR0TAQH/BAUwAwEB
/zANBgkqhkiG9w0BAQsFAAOBgQA19xzrgjpdqvw+RFrWjggeGGAWmNJlLDcRekqW
seF5xwag0WFXEu8Gj431fkJhxxpxEOMJfDoEJw/R+YeyvX3orh3GjImlBp0MzpCG
i4z9s8bX9jO7ZmFje6pkn+eoOMTJZWN3NH32DFr4chOPuudP/lAg5MFBVJVPL4l4
AG/mVQ==
-----END CERTIFICATE-----
`,
  privateKey: `-----BEGIN PRIVATE KEY-----
MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAKNgHq967/2W0uJP
cylhbgPoMSEIDEYNjcsN/iTe/uEFcHKYS/rgENhZ0R3AXZvrtlSNzWuh/uP4QPBp
gpkFYKQ+9xtpjEekVkw7uRMcLeaTAepmzkH3gQHY0dFqxgPM2M4VjGNOx7lH+An/
nD7gpxyG1kTUBajHxoLZrwe8yjxnAgMBAAECgYBpK/50/tIx0H8PWxAKqoLVFwtR
dUnZau5FsktR1xADMaoyyyHWbZnKfP9mhKh+MF5ezi5YRJ++h9jeKz38Xf7YlbS7
8gzpt5eGRZ44AYZJFj+xulL+lJQFSxty+dIvG7uRGX0jKX6Jr0r7gm0sUYrB8i8k
sgUkljUPKvJsqWkpAQJBAM181LW0xRDL3tsCJMfKxcm0cVfmkHn693o+Tr6C2oAs
9dMlaFFZrEyOJYepOvRilm7OKFpGkbWejOU2/LJOT+cCQQDLiTSVwHco1B+E7+lA
mRF60kHxbcCy/AhAPoKloQ6TqwVCQuJpN2VQYooQ5kYy1+SJGE0b60LQAXIAbNsy
QR+BAkEAgP3/uSEFJAoWl3y9Af40Mu5myDsgLrJwb/h1Dfqulw+iMS2mUorsMhJ5
VLPTIl5Q+LXJdwIdrdkdsTXXY0btuQJAeWQgn7wFla1GCzRHSobAfR9Pwx1xU46r
oR1nMD+pgPr8DPP1M0mdvF6497FPZt2KaRW8T4118Lcb9hL2fLeIgQJAeXtbShwM
kEivTX3GKWZzzoq5ExyXidxQlu4n1CVq4dRjF3JNsGawol0P3fUXjvaJE5yEos3X
jbMaDOHbqQi+yw==
-----END PRIVATE KEY-----
`,
};

void t.test('a signing certificate with a weak key is refused, though it is listed', (t) => {
  const stored = deflateSync(weakCertificate.certificate);
  const evidence = {
    manifest: signManifest(manifestLines(stored), 'sha1', weakCertificate),
    whitelist: signWhitelist(whitelistLines(fqrn, [fingerprint(weakCertificate.certificate)])),
    certificate: stored,
  };
  t.equal(codeOf(evidence), 'KEY_WEAK');
  t.equal(codeOf(evidence, { weakKey: true }), undefined);
  t.end();
});
