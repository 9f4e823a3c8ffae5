import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  expiredCertificate,
  goodCertificate,
  testAuthority,
  type ServerCertificate,
} from '../lib/testing/servers/authorities.js';
import { makeSmallRepository, file } from '../lib/publish/write-repository.js';
import { pinfs } from '../native-test/cli.js';

// A fault of this machine is called what it is: not the cache's, nor the network's, nor excused by what was seen.

const made = makeSmallRepository({ hello: file('hello\n') });

function place(t: Test): string {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-faults-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  return work;
}

/** Serves the repository over https; the certificate can be changed. */
async function serve(
  t: Test,
): Promise<{ url: string; readonly use: (certificate: ServerCertificate) => void }> {
  const server = createServer(goodCertificate, (request, response) => {
    const path = (request.url ?? '').replace(`/${made.fqrn}/`, '');
    const bytes = made.files.get(path);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}/${made.fqrn}`,
    use: (certificate) => {
      server.setSecureContext(certificate);
    },
  };
}

void t.test('what was verified before excuses the network, not this machine', async (t) => {
  const work = place(t);
  const { url, use } = await serve(t);
  const [key, store] = [join(work, 'key.pub'), join(work, 'authority.pem')];
  writeFileSync(key, made.masterKey);
  writeFileSync(store, testAuthority);
  const ask = async (pin: string, file: string) => {
    const args = ['info', '--json', '--key', key, '--cache', join(work, 'cache'), `${url}${pin}`];
    const none = join(work, 'none');
    const env = { SSL_CERT_FILE: file, SSL_CERT_DIR: none, NODE_EXTRA_CA_CERTS: '' };
    const { code, stdout } = await pinfs(args, env);
    return { code, answer: JSON.parse(stdout) as unknown };
  };
  for (const pin of ['', '@v1']) {
    const verified = await ask(pin, store);
    t.equal(verified.code, 0, JSON.stringify(verified.answer));
    const refused = await ask(pin, join(work, 'none'));
    t.equal(refused.code, 1, 'nobody here vouches for the server');
    t.match(JSON.stringify(refused.answer), /TLS_AUTHORITY_UNKNOWN/);
    t.notMatch(JSON.stringify(refused.answer), /"offline"/);
    use(expiredCertificate);
    const offline = await ask(pin, store);
    t.equal(offline.code, 0, 'a server whose certificate expired is one that can not be had');
    t.match(JSON.stringify(offline.answer), /"status":"offline".*TLS_CERTIFICATE_DATE/);
    use(goodCertificate);
  }
});

void t.test('a package that does not load', async (t) => {
  const work = place(t);
  const preload = join(work, 'preload.cjs');
  writeFileSync(
    preload,
    `const { dlopen } = process;
     process.dlopen = (module, file, ...rest) => {
       if (!/better_sqlite3/.test(file)) return dlopen(module, file, ...rest);
       const message = "The module '" + file + "'\\nwas compiled against a different Node.js version";
       throw Object.assign(new Error(message), { code: 'ERR_DLOPEN_FAILED' });
     };`,
  );
  const env = { NODE_OPTIONS: `--require=${preload}` };
  const mountpoint = join(work, 'mnt');
  mkdirSync(mountpoint);
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const options = ['--json', '--key', join(work, 'key.pub'), '--cache', join(work, 'cache')];
  const { url } = await serve(t);
  for (const command of [
    ['ls', ...options, url],
    ['cache', 'size', '--json', '--cache', join(work, 'cache')],
    ['mount', ...options, url, mountpoint],
  ] as const) {
    const { code, stdout } = await pinfs(command, env);
    t.equal(code, 1, command[0]);
    t.match(
      JSON.parse(stdout),
      {
        error: {
          code: 'MODULE_UNUSABLE',
          message: /better_sqlite3\.node.*different Node\.js version/,
          advice: /npm rebuild better-sqlite3/,
        },
      },
      command[0],
    );
  }
});
