import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { checkout } from '../genuine.js';

// Debian's own: what it needs lies beside that.
const python = '/usr/bin/python3';
const script = join(checkout, 'lib', 'testing', 'servers', 's3-server.py');

/** A server of S3 with one bucket. */
export interface S3Server {
  readonly endpoint: string;
  readonly bucket: string;
  /** What a client needs in its environment. */
  readonly variables: Readonly<Record<string, string>>;
  close(): Promise<void>;
}

/** Whether Swift is on this machine: packages swift-proxy, swift-account, swift-container, swift-object. */
export function hasS3Server(): boolean {
  return spawnSync(python, ['-c', 'import swift.common.middleware.s3api']).status === 0;
}

/** Starts a server that checks signatures, and makes a bucket. @param folder an empty one that is its own */
export async function startS3Server(folder: string): Promise<S3Server> {
  const child = spawn(python, [script, folder, 'test:tester', 'testing'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit');
  const [port] = (await Promise.race([
    once(createInterface(child.stdout), 'line'),
    exit.then(() => [undefined]),
  ])) as [string | undefined];
  if (port === undefined) throw new Error('the S3 server does not start');
  const endpoint = `http://127.0.0.1:${port}`;
  const bucket = 'bucket';
  const { AwsClient } = await import('aws4fetch');
  const client = new AwsClient({
    accessKeyId: 'test:tester',
    secretAccessKey: 'testing',
    service: 's3',
    region: 'us-east-1',
  });
  const made = await client.fetch(`${endpoint}/${bucket}`, { method: 'PUT' });
  if (!made.ok) {
    child.kill();
    throw new Error(`no bucket: ${made.status} ${await made.text()}`);
  }
  return {
    endpoint,
    bucket,
    variables: {
      AWS_ACCESS_KEY_ID: 'test:tester',
      AWS_SECRET_ACCESS_KEY: 'testing',
      AWS_ENDPOINT_URL: endpoint,
      HOME: folder,
    },
    async close() {
      child.stdin.end();
      await exit;
    },
  };
}
