import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { PinfsError } from '../../../format/errors.js';
import {
  isObjectPath,
  ownFolder,
  type FoundFile,
  type NewContent,
  type Storage,
  type WriteOnly,
} from '../storage.js';
import { takeLease, type Lease } from './lease.js';
import { listBucket } from './list.js';
import { bodyOf, openBucket, type Bucket } from './requests.js';
import type { BucketSettings } from './settings.js';

// Of such files the server is told a checksum; larger ones go as they are read.
const memoryBytesMax = 64 * 1024 * 1024;

/** A repository in a bucket. Loaded only where one is. */
export function openS3Storage(settings: BucketSettings): Storage {
  const bucket = openBucket(settings);
  let lease: Lease | undefined;
  return {
    name: bucket.name,
    read: (path, limit) => read(bucket, path, limit),
    async stream(path) {
      const { response } = await bucket.ask({ method: 'GET', path, expected: [404] });
      if (response.ok && response.body !== null) {
        return Readable.fromWeb(response.body);
      }
      await response.body?.cancel();
      return response.ok ? Readable.from([]) : undefined;
    },
    async has(path) {
      const { response } = await bucket.ask({ method: 'HEAD', path, expected: [404] });
      return response.ok;
    },
    async write(path, content, only) {
      if (!isObjectPath(path)) lease?.check();
      return await write(bucket, lease, path, content, only);
    },
    async *list(prefix) {
      for await (const file of listBucket(bucket, prefix)) {
        if (!file.path.startsWith(`${ownFolder}/`)) yield file;
      }
    },
    async remove(path) {
      await bucket.ask({ method: 'DELETE', path, expected: [404] });
    },
    async lock() {
      const taken = await takeLease(bucket);
      lease = taken;
      return async () => {
        lease = undefined;
        await taken.release();
      };
    },
    close: () => Promise.resolve(),
  };
}

async function read(bucket: Bucket, path: string, limit: number): Promise<FoundFile | undefined> {
  const { response } = await bucket.ask({ method: 'GET', path, expected: [404] });
  if (!response.ok) {
    await response.body?.cancel();
    return undefined;
  }
  return { bytes: await bodyOf(response, limit), version: response.headers.get('etag') ?? '' };
}

async function write(
  bucket: Bucket,
  lease: Lease | undefined,
  path: string,
  content: NewContent,
  only: WriteOnly | undefined,
): Promise<'written' | 'refused'> {
  const comparing = typeof only === 'object' ? only.version : undefined;
  if (comparing !== undefined && lease?.comparesVersions !== true) {
    // Nobody else may write meanwhile: the lock is what guards it.
    const { response } = await bucket.ask({ method: 'HEAD', path, expected: [404] });
    if (!response.ok || response.headers.get('etag') !== comparing) return 'refused';
  }
  const body = await bodyFor(content);
  const { response, again } = await bucket.ask({
    method: 'PUT',
    path,
    body,
    headers: {
      ...headersOf(path, body),
      ...(only === 'absent' ? { 'If-None-Match': '*' } : {}),
      ...(comparing !== undefined && lease?.comparesVersions === true
        ? { 'If-Match': comparing }
        : {}),
    },
    expected: only === undefined ? [] : [404, 409, 412],
  });
  await response.body?.cancel();
  // The first answer may have been lost: what lies there then may be what was sent.
  if (!response.ok && again && Buffer.isBuffer(body)) {
    const there = await read(bucket, path, body.length).catch(ignoreLarger);
    if (there?.bytes.equals(body) === true) return 'written';
  }
  if (response.ok && !Buffer.isBuffer(content)) await rm(content.file, { force: true });
  return response.ok ? 'written' : 'refused';
}

function ignoreLarger(thrown: unknown): undefined {
  if (thrown instanceof PinfsError && thrown.code === 'OBJECT_TOO_LARGE') return undefined;
  throw thrown;
}

async function bodyFor(content: NewContent): Promise<Buffer | Blob> {
  if (Buffer.isBuffer(content)) return content;
  if (content.size <= memoryBytesMax) return await readFile(content.file);
  return await openAsBlob(content.file);
}

/** As the reference's server has them (docs/format.md, 1), and what the server compares the bytes with. */
function headersOf(path: string, body: Buffer | Blob): Record<string, string> {
  const isObject = isObjectPath(path);
  return {
    'Content-Type': isObject ? 'application/octet-stream' : 'application/x-cvmfs',
    'Cache-Control': `max-age=${isObject ? 3 * 86_400 : 61}`,
    ...(Buffer.isBuffer(body)
      ? { 'Content-MD5': createHash('md5').update(body).digest('base64') }
      : {}),
  };
}
