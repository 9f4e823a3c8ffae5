import { join } from 'node:path';
import t from 'tap';
import { emptyBlacklist, parseBlacklist } from '../../format/blacklist.js';
import { parseCertificate } from '../../format/certificate.js';
import { PinfsError } from '../../format/errors.js';
import { testCertificate } from '../../publish/keys.js';
import { fingerprint } from '../../publish/signing.js';
import { blacklistFailure, loadBlacklist, revisionFailure } from './blacklist.js';

const fqrn = 'repo.example.org';

void t.test('the default file need not exist; one that was named must', (t) => {
  const directory = t.testdir({ blacklist: `<${fqrn} 10\n`, folder: {} });
  t.same(loadBlacklist(undefined, join(directory, 'none')), emptyBlacklist);
  t.equal(loadBlacklist(join(directory, 'blacklist')).revisions.length, 1);
  t.equal(loadBlacklist(undefined, join(directory, 'blacklist')).revisions.length, 1);
  for (const path of ['none', 'folder', 'blacklist/below']) {
    t.throws(() => loadBlacklist(join(directory, path)), { code: 'USAGE' }, path);
  }
  t.throws(() => loadBlacklist(undefined, join(directory, 'folder')), { code: 'USAGE' });
  t.throws(() => loadBlacklist('/dev/zero'), { code: 'USAGE' });
  t.end();
});

void t.test('what is known of a pin is held against it', (t) => {
  const certificate = parseCertificate(Buffer.from(testCertificate.certificate));
  if (certificate instanceof PinfsError) throw certificate;
  const revision = parseBlacklist(Buffer.from(`<${fqrn} 10`));
  const signer = parseBlacklist(Buffer.from(fingerprint()));
  const code = (
    list: typeof revision,
    known: { revision?: number; certificate?: typeof certificate },
  ) =>
    blacklistFailure(list, { fqrn, revision: known.revision, certificate: known.certificate })
      ?.code;
  t.equal(code(revision, { revision: 9 }), 'REVISION_BLACKLISTED');
  t.equal(code(revision, { revision: 10 }), undefined);
  t.equal(code(revision, { certificate }), undefined);
  t.equal(code(signer, { certificate }), 'CERTIFICATE_BLACKLISTED');
  t.equal(code(signer, { revision: 9 }), undefined);
  t.equal(revisionFailure(revision, fqrn, 9)?.code, 'REVISION_BLACKLISTED');
  t.equal(revisionFailure(revision, 'other.example.org', 9), undefined);
  t.end();
});
