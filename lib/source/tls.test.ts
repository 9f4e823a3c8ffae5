import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  expiredCertificate,
  futureCertificate,
  goodCertificate,
  otherCertificate,
  testAuthority,
  type ServerCertificate,
} from '../testing/servers/authorities.js';
import { asPinfsError, type PinfsError } from '../format/errors.js';
import { startForwardProxy } from '../testing/servers/forward-proxy.js';
import { parseProxies } from './failover/proxies.js';
import { httpSource } from './http/http.js';

// The authorities of this machine, and of whoever runs this, are left out.
delete process.env['NODE_EXTRA_CA_CERTS'];
const work = mkdtempSync(join(tmpdir(), 'pinfs-tls-'));
process.env['SSL_CERT_DIR'] = join(work, 'none');
process.env['SSL_CERT_FILE'] = join(work, 'bundle.pem');
t.teardown(() => rmSync(work, { recursive: true, force: true }));

function trust(authority: string | undefined): void {
  writeFileSync(join(work, 'bundle.pem'), authority ?? '');
}

async function listen(t: Test, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

async function secureServer(t: Test, certificate: ServerCertificate): Promise<number> {
  const server = createServer(certificate, (_, response) => response.end('published'));
  return await listen(t, server);
}

async function ask(url: string): Promise<string> {
  const source = httpSource(url, { backoff: 1, backoffMax: 2 });
  try {
    return (await source.get('file', 100)).toString();
  } finally {
    await source.close();
  }
}

async function refused(url: string): Promise<PinfsError> {
  return await ask(url).then(
    (text) => asPinfsError(new Error(`answered ${text}`)),
    (thrown: unknown) => asPinfsError(thrown),
  );
}

void t.test("an authority of the system's store vouches for a server", async (t) => {
  const port = await secureServer(t, goodCertificate);
  trust(testAuthority);
  t.equal(await ask(`https://localhost:${port}/x`), 'published');
  t.equal(await ask(`https://127.0.0.1:${port}/x`), 'published');
  const source = httpSource(`https://localhost:${port}/x`);
  t.teardown(() => source.close());
  const many = await Promise.all(Array.from({ length: 20 }, () => source.get('file', 100)));
  t.ok(
    many.every((bytes) => bytes.toString() === 'published'),
    'many connections at once',
  );
});

void t.test('an unknown authority is named so, and is no matter of the network', async (t) => {
  const port = await secureServer(t, goodCertificate);
  trust(undefined);
  const error = await refused(`https://localhost:${port}/x`);
  t.match(error, {
    code: 'TLS_AUTHORITY_UNKNOWN',
    exit: 1,
    message: new RegExp(`localhost:${port}/x/file: .*certificate.*\\(UNABLE_TO_`),
    advice: /update-ca-certificates.*NODE_EXTRA_CA_CERTS/,
  });
  trust('no certificate');
  t.match(await refused(`https://localhost:${port}/x`), { code: 'TLS_AUTHORITY_UNKNOWN' });
});

void t.test('other faults of certificates have their names', async (t) => {
  trust(testAuthority);
  const cases = [
    [expiredCertificate, 'TLS_CERTIFICATE_DATE', /has expired.*clock says \d{4}/, /clock/],
    [futureCertificate, 'TLS_CERTIFICATE_DATE', /is not valid yet/, /clock/],
    [otherCertificate, 'TLS_NAME_MISMATCH', /another host.*other\.example\.org/, /name/],
  ] as const;
  for (const [certificate, code, message, advice] of cases) {
    const port = await secureServer(t, certificate);
    t.match(await refused(`https://localhost:${port}/x`), { code, exit: 4, message, advice });
  }
});

void t.test('a server of the other kind', async (t) => {
  trust(testAuthority);
  const plain = await listen(t, createHttpServer());
  t.match(await refused(`https://127.0.0.1:${plain}/x`), {
    code: 'TLS_FAILED',
    message: /no secure connection: /,
    advice: /http:\/\//,
  });
  const secure = await secureServer(t, goodCertificate);
  t.match(await refused(`http://127.0.0.1:${secure}/x`), {
    code: 'SOURCE_UNREACHABLE',
    advice: /https:\/\//,
  });
});

void t.test('through a tunnel of a proxy, of whose errors it tells', async (t) => {
  const port = await secureServer(t, goodCertificate);
  trust(testAuthority);
  const proxy = await startForwardProxy();
  t.teardown(() => proxy.close());
  const open = () => {
    const source = httpSource(`https://localhost:${port}/x`, {
      backoff: 1,
      backoffMax: 2,
      connectTimeout: 1000,
      hopsFor: () => parseProxies(proxy.url),
    });
    t.teardown(() => source.close());
    return source;
  };
  t.equal((await open().get('file', 100)).toString(), 'published');
  t.same(proxy.requests, [`CONNECT localhost:${port}`]);
  proxy.behave('reset');
  const message = new RegExp(`through ${proxy.url}: the proxy could not connect .HTTP 503`);
  await t.rejects(open().get('file', 100), { code: 'SOURCE_UNREACHABLE', message });
  proxy.behave('freeze');
  const began = performance.now();
  await t.rejects(open().get('file', 100), {
    code: /SOURCE_(TIMEOUT|UNREACHABLE)/,
    message: / through /,
  });
  t.ok(performance.now() - began < 25_000, 'a tunnel that is never there is given up');
});
