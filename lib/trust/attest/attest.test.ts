import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { readFileSync, statSync, writeFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { testMasterKey } from '../../publish/keys.js';
import {
  checkAttestation,
  generateKeyPair,
  makeAttestation,
  readSecretKey,
  readSigner,
  verifyAttestation,
  writeKeyPair,
  type Attestation,
} from './attest.js';

const attestation: Attestation = {
  repository: 'repo.example.org',
  rootHash: `${'1'.repeat(40)}-shake128`,
  rootCatalogSha256: '2'.repeat(64),
  revision: 7,
  tag: 'v1',
  time: '2026-01-01T00:00:00.000Z',
};

const pair = generateKeyPair();
const secret = readSecretKey(Buffer.from(pair.secretPem));
const signer = readSigner(Buffer.from(pair.publicPem), 'me.pub');
const stranger = readSigner(Buffer.from(generateKeyPair().publicPem), 'stranger.pub');

interface Envelope {
  payloadType: unknown;
  payload: unknown;
  signatures: unknown;
}

function envelope(): Envelope {
  return JSON.parse(makeAttestation(attestation, secret)) as Envelope;
}

function codeOf(value: unknown, signers = [signer]): string {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value));
  try {
    verifyAttestation(bytes, signers);
    return 'no error';
  } catch (error) {
    if (error instanceof PinfsError) return error.code;
    throw error;
  }
}

/** An envelope around any payload, signed well. */
function signed(payload: Buffer): Envelope {
  const type = 'application/vnd.in-toto+json';
  const message = Buffer.concat([
    Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `),
    payload,
  ]);
  const sig = sign(null, message, pair.secretPem).toString('base64');
  return { payloadType: type, payload: payload.toString('base64'), signatures: [{ sig }] };
}

void t.test('what was attested comes back, with whoever signed it', (t) => {
  const bytes = Buffer.from(makeAttestation(attestation, secret));
  const verified = verifyAttestation(bytes, [stranger, signer]);
  t.same(verified.attestation, attestation);
  t.equal(verified.signer, signer);
  const untagged = { ...attestation, tag: undefined };
  const again = verifyAttestation(Buffer.from(makeAttestation(untagged, secret)), [signer]);
  t.same(again.attestation, untagged);
  t.end();
});

void t.test('the envelope is what other tools expect: DSSE, in-toto, Ed25519', (t) => {
  const { payloadType, payload, signatures } = envelope();
  t.equal(payloadType, 'application/vnd.in-toto+json');
  const bytes = Buffer.from(payload as string, 'base64');
  t.match(JSON.parse(bytes.toString()), {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [
      { digest: { sha256: attestation.rootCatalogSha256, cvmfsRootHash: attestation.rootHash } },
    ],
    predicate: { repository: 'repo.example.org', revision: 7, tag: 'v1' },
  });
  const [{ keyid, sig } = { keyid: '', sig: '' }] = signatures as { keyid: string; sig: string }[];
  t.equal(keyid, pair.keyid);
  const message = Buffer.concat([
    Buffer.from(`DSSEv1 28 application/vnd.in-toto+json ${bytes.length} `),
    bytes,
  ]);
  t.equal(verify(null, message, pair.publicPem, Buffer.from(sig, 'base64')), true);
  t.end();
});

void t.test('the pre-authentication encoding is that of the DSSE protocol', (t) => {
  // Signed by other means over the documented bytes, read by ours.
  const payload = Buffer.from(envelope().payload as string, 'base64');
  t.equal(codeOf(signed(payload)), 'no error');
  const sig = sign(null, payload, pair.secretPem).toString('base64');
  t.equal(
    codeOf({ ...envelope(), signatures: [{ sig }] }),
    'ATTESTATION_SIGNATURE',
    'over the bare payload',
  );
  t.end();
});

void t.test('URL-safe base64 is read as well', (t) => {
  const one = envelope();
  const payload = Buffer.from(one.payload as string, 'base64').toString('base64url');
  t.equal(codeOf({ ...one, payload }), 'no error');
  t.end();
});

void t.test('a signature by somebody else, or none, is refused', (t) => {
  const one = envelope();
  t.equal(codeOf(one, [stranger]), 'ATTESTATION_SIGNATURE');
  t.equal(codeOf(one, []), 'ATTESTATION_SIGNATURE');
  t.equal(codeOf({ ...one, signatures: [] }), 'ATTESTATION_SIGNATURE');
  t.equal(
    codeOf({ ...one, signatures: [{ keyid: pair.keyid, sig: '' }] }),
    'ATTESTATION_SIGNATURE',
  );
  const other = Buffer.from(makeAttestation({ ...attestation, revision: 8 }, secret));
  const { signatures } = JSON.parse(other.toString()) as Envelope;
  t.equal(codeOf({ ...one, signatures }), 'ATTESTATION_SIGNATURE', 'over another payload');
  t.equal(
    codeOf({ ...one, signatures: [...(signatures as object[]), ...(one.signatures as object[])] }),
    'no error',
  );
  t.end();
});

void t.test('no change of a byte of payload or signature goes unnoticed', (t) => {
  const one = envelope();
  const [{ sig } = { sig: '' }] = one.signatures as { sig: string }[];
  fc.assert(
    fc.property(fc.boolean(), fc.nat(), fc.integer({ min: 1, max: 255 }), (inPayload, at, flip) => {
      const bytes = Buffer.from(inPayload ? (one.payload as string) : sig, 'base64');
      bytes.writeUInt8(bytes.readUInt8(at % bytes.length) ^ flip, at % bytes.length);
      const text = bytes.toString('base64');
      const changed = inPayload
        ? { ...one, payload: text }
        : { ...one, signatures: [{ sig: text }] };
      return codeOf(changed) === 'ATTESTATION_SIGNATURE';
    }),
    { numRuns: 60 },
  );
  t.end();
});

void t.test('an envelope that is none is malformed', (t) => {
  const one = envelope();
  const broken: unknown[] = [
    Buffer.alloc(0),
    Buffer.from('<html>'),
    Buffer.from('['.repeat(60_000)),
    Buffer.alloc(70_000, ' '),
    null,
    [],
    {},
    { ...one, payloadType: 'text/plain' },
    { ...one, payload: '!' },
    { ...one, payload: 7 },
    { ...one, signatures: 'x' },
    { ...one, signatures: [7] },
    { ...one, signatures: [{ sig: 7 }] },
    { ...one, signatures: Array.from({ length: 17 }, () => ({ sig: '' })) },
  ];
  for (const value of broken)
    t.equal(codeOf(value), 'ATTESTATION_MALFORMED', JSON.stringify(value).slice(0, 80));
  t.end();
});

void t.test('a signed statement of another kind, or with broken fields, is malformed', (t) => {
  const payload = Buffer.from(envelope().payload as string, 'base64');
  interface Statement {
    subject: [{ digest: Record<string, unknown> }];
    predicate: Record<string, unknown>;
  }
  const statement = JSON.parse(payload.toString()) as Statement;
  const { subject, predicate } = statement;
  const [{ digest }] = subject;
  const broken: unknown[] = [
    'text',
    { ...statement, _type: 'https://in-toto.io/Statement/v0.1' },
    { ...statement, predicateType: 'https://slsa.dev/provenance/v1' },
    { ...statement, predicateType: undefined },
    { ...statement, subject: [] },
    { ...statement, subject: [...subject, ...subject] },
    { ...statement, subject: [{ digest: { ...digest, sha256: 'x' } }] },
    { ...statement, subject: [{ digest: { ...digest, cvmfsRootHash: '3'.repeat(40) } }] },
    { ...statement, predicate: null },
    { ...statement, predicate: { ...predicate, repository: '../x' } },
    { ...statement, predicate: { ...predicate, rootHash: 'x' } },
    { ...statement, predicate: { ...predicate, revision: -1 } },
    { ...statement, predicate: { ...predicate, revision: '7' } },
    { ...statement, predicate: { ...predicate, tag: 7 } },
    { ...statement, predicate: { ...predicate, time: 'yesterday' } },
  ];
  for (const value of broken) {
    t.equal(
      codeOf(signed(Buffer.from(JSON.stringify(value)))),
      'ATTESTATION_MALFORMED',
      JSON.stringify(value),
    );
  }
  t.equal(codeOf(signed(payload)), 'no error');
  t.end();
});

void t.test('what is mounted must be what was attested', (t) => {
  const { repository, rootHash, revision, rootCatalogSha256 } = attestation;
  const found = { repository, rootHash, revision, rootCatalogSha256 };
  checkAttestation(attestation, found);
  checkAttestation(attestation, { repository, rootHash });
  for (const other of [
    { repository: 'other.example.org' },
    { rootHash: '1'.repeat(40) },
    { revision: 8 },
    { rootCatalogSha256: '3'.repeat(64) },
  ]) {
    t.throws(() => checkAttestation(attestation, { ...found, ...other }), {
      code: 'ATTESTATION_MISMATCH',
    });
  }
  t.end();
});

void t.test('key files: the secret one for its owner only, and nothing is overwritten', (t) => {
  const directory = t.testdir({ 'b.pub': 'kept' });
  const path = join(directory, 'a');
  writeKeyPair(path, pair);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(readSecretKey(readFileSync(path)).keyid, pair.keyid);
  t.equal(readSigner(readFileSync(`${path}.pub`), 'a').keyid, pair.keyid);
  t.throws(() => writeKeyPair(path, generateKeyPair()), { code: 'USAGE' });
  t.equal(readFileSync(path, 'utf8'), pair.secretPem);
  t.throws(() => writeKeyPair(join(directory, 'b'), pair), { code: 'USAGE' });
  t.equal(readFileSync(join(directory, 'b.pub'), 'utf8'), 'kept');
  t.equal(existsSync(join(directory, 'b')), false, 'no secret key without its public one');
  t.throws(() => writeKeyPair(join(directory, 'none', 'c'), pair), { code: 'USAGE' });
  t.end();
});

void t.test('keys made by other tools are read, and ours by theirs', (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = readSecretKey(Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  const their = readSigner(Buffer.from(publicKey.export({ type: 'spki', format: 'pem' })), 'their');
  t.equal(key.keyid, their.keyid);
  t.equal(codeOf(Buffer.from(makeAttestation(attestation, key)), [their]), 'no error');
  t.equal(createPublicKey(pair.publicPem).asymmetricKeyType, 'ed25519');
  t.end();
});

void t.test('what is no such key is refused', (t) => {
  const encrypted = generateKeyPairSync('ed25519').privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  });
  for (const text of ['', 'x', pair.publicPem, testMasterKey.privateKey, encrypted.toString()]) {
    t.throws(() => readSecretKey(Buffer.from(text)), { code: 'KEY_MALFORMED' });
  }
  for (const text of ['', 'x', pair.secretPem, testMasterKey.publicKey]) {
    t.throws(() => readSigner(Buffer.from(text), 'x'), { code: 'KEY_MALFORMED' });
  }
  t.end();
});

void t.test('openssl reads the key files', async (t) => {
  const { execFileSync } = await import('node:child_process');
  const directory = t.testdir({});
  writeFileSync(join(directory, 'key'), pair.secretPem);
  let text: string;
  try {
    text = execFileSync('openssl', ['pkey', '-in', join(directory, 'key'), '-pubout'], {
      encoding: 'utf8',
    });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return;
    throw error;
  }
  t.equal(text, pair.publicPem);
});
