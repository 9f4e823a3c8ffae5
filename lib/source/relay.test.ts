import { once } from 'node:events';
import { createServer, request, Agent } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { startRelay } from './relay.js';

const oneWayMs = 30;
const body = Buffer.alloc(4 * 2 ** 20, 'what is far away ');

/** A server behind a relay; all is gone at the end of the test. */
async function farServer(test: {
  teardown(clean: () => unknown): unknown;
}): Promise<Awaited<ReturnType<typeof startRelay>>> {
  const server = createServer((_, response) => response.end(body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = await startRelay((server.address() as AddressInfo).port, oneWayMs);
  test.teardown(async () => {
    await relay.close();
    server.close();
    server.closeAllConnections();
  });
  return relay;
}

async function get(port: number, agent: Agent): Promise<Buffer> {
  const asked = request({ port, host: '127.0.0.1', agent }).end();
  const pieces: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    asked.on('error', reject);
    asked.on('response', (response) => {
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', resolve);
      response.on('error', reject);
    });
  });
  return Buffer.concat(pieces);
}

t.test('holds each direction back, and hands on every byte', async (t) => {
  const relay = await farServer(t);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => {
    agent.destroy();
  });
  const started = performance.now();
  t.ok((await get(relay.port, agent)).equals(body));
  t.ok(performance.now() - started >= 4 * oneWayMs - 4, 'a connection and a request');
  t.equal(relay.connections, 1);
  t.ok(relay.bytes > body.length);
});

t.test('counts chains of waits, not requests', async (t) => {
  const relay = await farServer(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => {
    agent.destroy();
  });
  await Promise.all(Array.from({ length: 4 }, () => get(relay.port, agent)));
  t.equal(relay.connections, 4);
  t.equal(relay.roundTrips, 2, 'four at once: connections, then answers');
  relay.reset();
  t.equal(relay.roundTrips, 0);
  for (let count = 0; count < 3; count++) await get(relay.port, agent);
  t.equal(relay.connections, 0, 'kept alive');
  t.equal(relay.roundTrips, 3, 'one after the other');
});

t.test('does not limit the rate: what is sent at once takes the time of one way', async (t) => {
  const relay = await farServer(t);
  const agent = new Agent();
  const started = performance.now();
  await Promise.all(Array.from({ length: 8 }, () => get(relay.port, agent)));
  // With a window of 64 KiB these 32 MiB would take 64 windows a connection, 60 ms each.
  t.ok(performance.now() - started < 64 * 2 * oneWayMs);
});

t.test('a slow line takes its time, whoever shares it', async (t) => {
  const server = createServer((_, response) => response.end(body)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const relay = await startRelay((server.address() as AddressInfo).port, 0, {
    bytesPerSecond: 40 * 2 ** 20,
  });
  const agent = new Agent({ keepAlive: true });
  t.teardown(async () => {
    agent.destroy();
    await relay.close();
    server.close();
    server.closeAllConnections();
  });
  const started = performance.now();
  const both = await Promise.all([get(relay.port, agent), get(relay.port, agent)]);
  for (const one of both) t.ok(one.equals(body));
  t.ok(performance.now() - started >= 190, 'twice 4 MiB at 40 MiB a second');
});
