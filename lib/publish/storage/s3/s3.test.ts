import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { hasS3Server, startS3Server } from '../../../testing/servers/s3-server.js';
import { storageConformance } from '../../../testing/suites/storage-conformance.js';
import { openStorage } from '../open.js';
import { bucketSettings } from './settings.js';

const skip = hasS3Server() ? false : 'there is no Swift here';

/** A server between, which fails where it is told to. */
async function startBetween(
  t: Test,
  endpoint: string,
  fault: (line: string, count: number) => Fault,
) {
  const seen = new Map<string, number>();
  const server = createServer((asked, answer) => {
    const line = `${asked.method} ${asked.url}`;
    const count = (seen.get(line) ?? 0) + 1;
    seen.set(line, count);
    const what = fault(line, count);
    if (what === 'busy') {
      asked.resume();
      answer.writeHead(503).end('<Error><Code>SlowDown</Code></Error>');
      return;
    }
    if (what === 'careless' && asked.headers['if-none-match'] !== undefined) {
      asked.resume();
      answer.writeHead(200).end();
      return;
    }
    if (what === 'unknown' && asked.headers['if-none-match'] !== undefined) {
      asked.resume();
      answer.writeHead(501).end('<Error><Code>NotImplemented</Code></Error>');
      return;
    }
    if (what === 'gone') {
      asked.socket.destroy();
      return;
    }
    const { headers, method } = asked;
    const onward = request(new URL(asked.url ?? '/', endpoint), { method, headers }, (got) => {
      if (what === 'lost') {
        got.resume();
        got.on('end', () => asked.socket.destroy());
        return;
      }
      const passed = { ...got.headers };
      answer.writeHead(got.statusCode ?? 500, passed);
      got.pipe(answer);
    });
    asked.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Busy; gone before it did anything; its answer lost; one that passes over If-None-Match, or refuses it. */
type Fault = 'busy' | 'gone' | 'lost' | 'careless' | 'unknown' | undefined;

void t.test('a bucket is a storage', { skip }, async (t) => {
  const server = await startS3Server(t.testdir({}));
  t.teardown(() => server.close());
  const storage = `s3://${server.bucket}/some where/below`;
  await storageConformance(t, () => openStorage(storage, server.variables));

  await t.test('who is not known is refused', async (t) => {
    const variables = { ...server.variables, AWS_SECRET_ACCESS_KEY: 'wrong' };
    const stranger = await openStorage(storage, variables);
    await t.rejects(stranger.has('x'), { code: 'STORAGE_FAILED', message: /403/ });
  });

  await t.test('a server that fails now and then', async (t) => {
    const endpoint = await startBetween(t, server.endpoint, (line, count) => {
      if (!line.includes('/data/')) return undefined;
      return count === 1 ? 'gone' : count === 2 ? 'busy' : count === 3 ? 'lost' : undefined;
    });
    const variables = { ...server.variables, AWS_ENDPOINT_URL: endpoint };
    const storage = await openStorage(`s3://${server.bucket}/failing`, variables);
    const release = await storage.lock();
    const written = await storage.write('data/00/x', Buffer.from('x'), 'absent');
    t.equal(written, 'written', 'though the second one who wrote it was told that it is there');
    await release();
  });

  await t.test('a server that is always busy', async (t) => {
    const endpoint = await startBetween(t, server.endpoint, () => 'busy');
    const variables = { ...server.variables, AWS_ENDPOINT_URL: endpoint };
    const storage = await openStorage(`s3://${server.bucket}/busy`, variables);
    await t.rejects(storage.write('.cvmfspublished', Buffer.from('x')), {
      code: 'STORAGE_FAILED',
      message: /503 SlowDown/,
    });
  });

  await t.test('a server on which two publishers would not see each other', async (t) => {
    for (const how of ['careless', 'unknown'] as const) {
      const endpoint = await startBetween(t, server.endpoint, () => how);
      const variables = { ...server.variables, AWS_ENDPOINT_URL: endpoint };
      const storage = await openStorage(`s3://${server.bucket}/${how}`, variables);
      await t.rejects(storage.lock(), { code: 'STORAGE_UNSAFE' }, how);
    }
  });
});

void t.test('settings come from where AWS has them', (t) => {
  const home = t.testdir();
  t.throws(() => bucketSettings('s3://bucket', { HOME: home }), { code: 'USAGE' });
  mkdirSync(join(home, '.aws'));
  writeFileSync(
    join(home, '.aws', 'credentials'),
    '[default]\naws_access_key_id = a\naws_secret_access_key=b=\n[other]\naws_access_key_id=c\naws_secret_access_key=d\n',
  );
  writeFileSync(
    join(home, '.aws', 'config'),
    '[default]\nregion = eu-west-3\n[profile other]\nendpoint_url = https://s3.example.org/\n',
  );
  t.match(bucketSettings('s3://bucket/a//b/', { HOME: home }), {
    prefix: 'a/b',
    url: 'https://bucket.s3.eu-west-3.amazonaws.com/',
    accessKeyId: 'a',
    secretAccessKey: 'b=',
  });
  t.match(bucketSettings('s3://bucket', { HOME: home, AWS_PROFILE: 'other' }), {
    prefix: '',
    url: 'https://s3.example.org/bucket/',
    region: 'us-east-1',
    accessKeyId: 'c',
  });
  for (const wrong of ['s3://', 's3://A', 's3://bucket/../x'])
    t.throws(() => bucketSettings(wrong, { HOME: home }), { code: 'USAGE' }, wrong);
  t.throws(() => bucketSettings('s3://bucket', { HOME: home, AWS_ENDPOINT_URL: 'file:///x' }), {
    code: 'USAGE',
  });
  t.end();
});

void t.test('what is no storage', async (t) => {
  for (const text of ['', 'http://example.org/x'])
    await t.rejects(openStorage(text), { code: 'USAGE' });
});
