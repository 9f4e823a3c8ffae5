import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { quoted } from '../../../format/bytes.js';
import { PinfsError } from '../../../format/errors.js';
import { ownFolder } from '../storage.js';
import { listBucket } from './list.js';
import { bodyOf, type Bucket } from './requests.js';

/*
 * One publisher at a time, on a server that has no locks: who makes `lock-N` has the storage, and the server lets only
 * one make it (If-None-Match). He touches it as long as he works; what was not touched for a while counts no more, and
 * the next one makes `lock-N+1`. Nothing that could be taken is removed, so nobody takes what another one just took.
 */

export interface Lease {
  /** Whether the server replaces a version only if it is asked to (If-Match). */
  readonly comparesVersions: boolean;
  /** @throws PinfsError STORAGE_BUSY: it was not touched in time, and somebody else may have it. */
  check(): void;
  release(): Promise<void>;
}

const leaseMs = 60_000;
const touchMs = 15_000;
/** So many old ones are kept: somebody may be slow to make one of them. */
const keptMax = 8;
const lockPrefix = `${ownFolder}/lock-`;
const noteBytesMax = 4096;

/** @throws PinfsError STORAGE_BUSY, STORAGE_UNSAFE, STORAGE_FAILED */
export async function takeLease(bucket: Bucket): Promise<Lease> {
  const names: string[] = [];
  for await (const { path } of listBucket(bucket, lockPrefix)) names.push(path);
  names.sort();
  const last = names.at(-1);
  if (last !== undefined) await refuseHeld(bucket, last);
  const number = last === undefined ? 1 : Number(last.slice(lockPrefix.length)) + 1;
  const path = `${lockPrefix}${String(number).padStart(12, '0')}`;
  const note = Buffer.from(
    JSON.stringify({ who: `process ${process.pid} on ${hostname()}`, id: randomUUID() }),
  );
  const made = await putIf(bucket, path, note, { 'If-None-Match': '*' });
  if (made === 'unknown') throw unsafe(bucket);
  if (made === 'refused' && !(await isOurs(bucket, path, note)))
    throw busy(bucket, 'somebody who came first');
  if ((await putIf(bucket, path, note, { 'If-None-Match': '*' })) !== 'refused') {
    await bucket.ask({ method: 'DELETE', path, expected: [404] });
    throw unsafe(bucket);
  }
  const wrong = await putIf(bucket, path, note, { 'If-Match': '"00"' });
  const comparesVersions = wrong === 'refused';
  for (const old of names.slice(0, -keptMax))
    await bucket.ask({ method: 'DELETE', path: old, expected: [404] });
  let touched = Date.now();
  const timer = setInterval(() => {
    const began = Date.now();
    bucket.ask({ method: 'PUT', path, body: note }).then(
      () => (touched = began),
      () => undefined,
    );
  }, touchMs);
  timer.unref();
  return {
    comparesVersions,
    check() {
      if (Date.now() - touched < leaseMs - touchMs) return;
      throw busy(bucket, 'somebody else, perhaps: the lock could not be kept');
    },
    async release() {
      clearInterval(timer);
      await bucket.ask({ method: 'PUT', path, body: Buffer.from('{"free":true}') });
    },
  };
}

async function putIf(
  bucket: Bucket,
  path: string,
  body: Buffer,
  headers: Readonly<Record<string, string>>,
): Promise<'done' | 'refused' | 'unknown'> {
  const expected = [400, 409, 412, 501];
  const { response } = await bucket.ask({ method: 'PUT', path, body, headers, expected });
  await bodyOf(response, noteBytesMax);
  if (response.ok) return 'done';
  return response.status === 409 || response.status === 412 ? 'refused' : 'unknown';
}

function unsafe(bucket: Bucket): PinfsError {
  const text = `${bucket.name} does not know If-None-Match`;
  return new PinfsError('STORAGE_UNSAFE', text, {
    advice: 'Use a server that does: with this one two publishers would not see each other.',
  });
}

async function isOurs(bucket: Bucket, path: string, note: Buffer): Promise<boolean> {
  const { response } = await bucket.ask({ method: 'GET', path, expected: [404] });
  return (await bodyOf(response, noteBytesMax)).equals(note);
}

async function refuseHeld(bucket: Bucket, path: string): Promise<void> {
  const { response } = await bucket.ask({ method: 'GET', path, expected: [404] });
  const note = (await bodyOf(response, noteBytesMax)).toString('utf8');
  if (!response.ok || note.includes('"free":true')) return;
  // By the clock of the server alone.
  const now = Date.parse(response.headers.get('date') ?? '');
  const touched = Date.parse(response.headers.get('last-modified') ?? '');
  if (now - touched >= leaseMs) return;
  throw busy(bucket, /"who":"([^"]*)"/.exec(note)?.[1] ?? 'somebody');
}

function busy(bucket: Bucket, who: string): PinfsError {
  return new PinfsError(
    'STORAGE_BUSY',
    `somebody else is writing to the storage ${bucket.name}: ${quoted(who)}`,
    {
      advice: `Wait for that to end, and do it again; of one that died, it ends after ${leaseMs / 1000} seconds.`,
      passing: true,
    },
  );
}
