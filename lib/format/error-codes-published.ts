import { withExit } from './error-words.js';

// The codes that are about what a publisher signed and a server holds: refused, missing, damaged.

const askServer = 'Try another server, or ask who runs this one.';
const askPublisher = 'Ask the publisher. Pin another snapshot by its root hash meanwhile.';
const otherServer =
  'Nothing of it was kept. Try another server or network; the publisher can mend it.';

const refused = withExit(3, {
  NO_KEY: {
    cause: 'No master key for this repository is on this machine.',
    mend: 'Get it from the publisher and give it with `--key`; or pin by root hash, which needs none.',
  },
  KEY_WEAK: {
    cause: 'The master key, or that of the certificate, has too few bits to be believed.',
    mend: 'Pin by root hash; or accept it with `--weak-key`.',
  },
  MANIFEST_MALFORMED: {
    cause: 'What came as `.cvmfspublished` is no manifest.',
    mend: 'Check that the address is that of a repository, and that no log-in page answers for it.',
  },
  MANIFEST_INCOMPLETE: {
    cause: 'The manifest lacks a line that is required; servers of 2011 wrote such ones.',
    mend: 'Pin by root hash.',
  },
  MANIFEST_NAME_MISMATCH: {
    cause: 'The manifest is that of another repository.',
    mend: 'Check the address. Where the last part of it is not the name, give the name with `--fqrn`.',
  },
  MANIFEST_ROOT_PATH: {
    cause: 'The manifest is that of a directory inside a repository.',
    mend: askServer,
  },
  MANIFEST_HASH_MISMATCH: {
    cause: 'The hash that the manifest says of itself is not the one it has: it was changed.',
    mend: askServer,
  },
  MANIFEST_SIGNATURE: {
    cause: 'The signature of the manifest was not made by the certificate that it names.',
    mend: askServer,
  },
  CERTIFICATE_HASH_MISMATCH: {
    cause: 'The certificate that came is not the one that the manifest names.',
    mend: askServer,
  },
  CERTIFICATE_MALFORMED: {
    cause: "The certificate can't be read, or is none with an RSA key.",
    mend: askPublisher,
  },
  CERTIFICATE_NOT_LISTED: {
    cause: 'The certificate that signed is not on the whitelist.',
    mend: askPublisher,
  },
  CERTIFICATE_BLACKLISTED: {
    cause: 'The blacklist of this machine refuses the certificate that signed.',
    mend: 'Ask the publisher for a new signature. Look at the blacklist (`--blacklist`, /etc/cvmfs/blacklist).',
  },
  REVISION_BLACKLISTED: {
    cause: 'The blacklist of this machine refuses revisions as old as this one.',
    mend: 'Take a newer snapshot. Look at the blacklist (`--blacklist`, /etc/cvmfs/blacklist).',
  },
  WHITELIST_MALFORMED: {
    cause: 'What came as `.cvmfswhitelist` is no whitelist.',
    mend: 'Check that the address is that of a repository, and that no log-in page answers for it.',
  },
  WHITELIST_UNSUPPORTED: {
    cause: 'The whitelist asks for a check that pinfs does not make (`Vpkcs7`, `Wcachain`).',
    mend: 'Pin by root hash, got from someone whom you trust.',
  },
  WHITELIST_EXPIRED: {
    cause: 'The whitelist has expired.',
    mend: 'Try another server. `--trust-at DATE` judges as of that day; a pin by root hash needs none.',
  },
  WHITELIST_NAME_MISMATCH: {
    cause: 'The whitelist is that of another repository.',
    mend: 'Check the address, and `--fqrn`.',
  },
  WHITELIST_HASH_MISMATCH: {
    cause: 'The hash that the whitelist says of itself is not the one it has: it was changed.',
    mend: askServer,
  },
  WHITELIST_SIGNATURE: {
    cause: 'No master key that is known here for this repository has signed the whitelist.',
    mend: 'Give the right key with `--key`; or pin by root hash.',
  },
  ROLLBACK: {
    cause: 'The server offers an older revision than was verified here before.',
    mend: 'Try another server, this one may lag behind; or pin the older snapshot on purpose.',
  },
  REVISION_CHANGED: {
    cause: 'The same revision had another root hash when it was verified here.',
    mend: 'Ask the publisher which is right; `pinfs forget FQRN` accepts the new one.',
  },
  TAG_MOVED: {
    cause: 'The tag named another root hash when it was verified here.',
    mend: 'Ask the publisher why. Pin by root hash, or `pinfs forget FQRN`.',
  },
  ATTESTATION_MALFORMED: {
    cause: 'The file is no attestation.',
    mend: '`pinfs attest` makes such files.',
  },
  ATTESTATION_SIGNATURE: {
    cause: 'The attestation is not signed by the key that was given.',
    mend: 'Give the public key of whoever attested it with `--signer`.',
  },
  ATTESTATION_MISMATCH: {
    cause: 'The attestation is for another repository, snapshot or root catalog.',
    mend: 'Ask for the one that it is for, or get the right file.',
  },
});

const missing = withExit(5, {
  MANIFEST_MISSING: {
    cause: 'The source has no `.cvmfspublished`.',
    mend: 'Check the address: it is the one that this file lies in, mostly `…/cvmfs/NAME`.',
  },
  WHITELIST_MISSING: {
    cause: 'The source has no `.cvmfswhitelist`.',
    mend: 'Ask who runs the server; or pin by root hash.',
  },
  CERTIFICATE_MISSING: {
    cause: 'The source does not have the certificate that the manifest names.',
    mend: 'Ask who runs the server; or pin by root hash.',
  },
  HISTORY_MISSING: {
    cause: 'The repository has no list of tags, or the server has lost it.',
    mend: 'Pin by root hash.',
  },
  OBJECT_MISSING: {
    cause:
      'The source does not have an object; or a file lies on an external server, and none was given.',
    mend: 'Another server may have it; external files need `--external`. `pinfs check` lists what is missing.',
    errno: 'EIO',
  },
  TAG_UNKNOWN: {
    cause: 'The repository has no tag of that name.',
    mend: '`pinfs tags` lists them.',
  },
  REVISION_UNKNOWN: {
    cause:
      'The repository has not so many revisions before its head; or the source has lost those on the way, as where publishers collect garbage.',
    mend: '`pinfs log` shows those that can be had.',
  },
  DATE_TOO_EARLY: {
    cause: 'The repository has no tag as old as that date.',
    mend: '`pinfs tags` lists them with their dates.',
  },
});

const damaged = withExit(5, {
  OBJECT_TOO_LARGE: {
    cause: 'An object is larger than was promised, or than pinfs opens.',
    mend: otherServer,
    errno: 'EIO',
  },
  OBJECT_HASH_MISMATCH: {
    cause: 'What came has another hash than it should: damaged on the way or on the server.',
    mend: otherServer,
    errno: 'EIO',
  },
  OBJECT_NOT_ZLIB: {
    cause: 'An object has the right hash and is no complete zlib stream: it was published so.',
    mend: askPublisher,
    errno: 'EIO',
  },
  OBJECT_TRAILING_BYTES: {
    cause: 'Bytes follow the end of the zlib stream of an object: it was published so.',
    mend: askPublisher,
    errno: 'EIO',
  },
  OBJECT_SIZE_MISMATCH: {
    cause: 'An object has another size than its catalog says, or an answer ended early.',
    mend: 'Try again, or another server. Where it stays so it was published so: ask the publisher.',
    errno: 'EIO',
  },
  CATALOG_NOT_SQLITE: {
    cause: 'A catalog is no sound SQLite database.',
    mend: askPublisher,
    errno: 'EIO',
  },
  CATALOG_SCHEMA: {
    cause:
      'A catalog, or a row of it, is not of the form that catalogs have. Of a row only its own path is concerned.',
    mend: askPublisher,
    errno: 'EIO',
  },
  CATALOG_UNSUPPORTED: {
    cause:
      'A catalog is of a schema that pinfs does not know, or (0.9) does not name its nested ones by hash.',
    mend: 'A newer pinfs may know it. Of 0.9 only the root catalog can be read.',
    errno: 'EIO',
  },
  CATALOG_ROOT_ENTRY: {
    cause: 'A catalog does not have the directory for which it is mounted.',
    mend: askPublisher,
    errno: 'EIO',
  },
  HISTORY_MALFORMED: {
    cause: 'The list of tags is no sound database, or not of the form that it should have.',
    mend: 'Pin by root hash, and tell the publisher.',
  },
  HISTORY_NAME_MISMATCH: {
    cause: 'The list of tags belongs to another repository.',
    mend: 'Pin by root hash, and tell the publisher.',
  },
  TAG_HASH_MALFORMED: {
    cause: 'The root hash of the tag is none.',
    mend: 'Pin by root hash, and tell the publisher.',
  },
});

export const errorsOfPublished = { ...refused, ...missing, ...damaged } as const;
