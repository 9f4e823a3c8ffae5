import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import t, { type Test } from 'tap';
import { goodCertificate, testAuthority } from '../testing/servers/authorities.js';
import { systemAuthorities, systemContext } from './authorities.js';

function place(t: Test): string {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-authorities-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  return work;
}

/** What is found in one file and one directory, and nowhere else. */
function found(file: string, directory: string): string[] {
  const variables = { SSL_CERT_FILE: file, SSL_CERT_DIR: directory };
  return systemAuthorities(variables).map((text) => `${text}\n`);
}

void t.test('authorities of the system are found beside those of Node', (t) => {
  const work = place(t);
  const nowhere = join(work, 'nowhere');
  const file = join(work, 'bundle.pem');
  writeFileSync(file, `# a comment\n${rootCertificates.join('\n')}\n${testAuthority}`);
  t.same(found(file, nowhere), [testAuthority], 'those of Node are left out');
  const directory = join(work, 'directory');
  mkdirSync(directory);
  writeFileSync(join(directory, '0a1b2c3d.0'), testAuthority);
  writeFileSync(join(directory, 'README'), goodCertificate.cert);
  t.same(found(nowhere, directory), [testAuthority]);
  t.same(found(nowhere, `${nowhere}:${directory}`), [testAuthority], 'a list of directories');
  t.same(found(file, directory), [testAuthority], 'each once');
  t.same(found(nowhere, nowhere), []);
  t.equal(systemContext({ SSL_CERT_FILE: nowhere, SSL_CERT_DIR: nowhere }), undefined);
  t.ok(systemContext({ SSL_CERT_FILE: file, SSL_CERT_DIR: nowhere }));
  const extra = { NODE_EXTRA_CA_CERTS: file, SSL_CERT_FILE: nowhere, SSL_CERT_DIR: nowhere };
  t.equal(systemAuthorities(extra).length, 1, "Node's own variable counts as well");
  t.end();
});

void t.test('a broken store keeps nobody from a server', (t) => {
  const work = place(t);
  const file = join(work, 'bundle.pem');
  const broken = testAuthority.replace(/[A-Z]/g, 'A');
  writeFileSync(file, `-----BEGIN CERTIFICATE-----\n${broken}\0\xff${testAuthority}`, 'latin1');
  t.same(found(file, work), [testAuthority]);
  writeFileSync(file, Buffer.alloc(17 * 2 ** 20, testAuthority));
  t.same(found(file, file), [], 'one that is too large');
  rmSync(file);
  t.equal(spawnSync('mkfifo', [file]).status, 0);
  t.same(found(file, '/dev/zero'), [], 'one that would wait for ever');
  t.same(found('/dev/zero', work), []);
  t.end();
});
