import { parentPort } from 'node:worker_threads';
import { copyChecked } from './checked-copy.js';
import { openForeignRecords, type ForeignRecords, type SpotInFile } from './foreign-records.js';
import type { CopyAnswer, CopyJob } from './copier.js';

// The thread behind copier.ts: one job after the other. What it can't do is as good as not there.

/** Records by their directory; they were copied, so that those that lack something are copied again, not before so long (ms). */
const known = new Map<string, { records: ForeignRecords | undefined; since: number }>();
const lookIntervalMs = 30_000;

parentPort?.on('message', (job: CopyJob) => {
  parentPort?.postMessage({ number: job.number, copied: copy(job) } satisfies CopyAnswer);
});

function copy(job: CopyJob): CopyAnswer['copied'] {
  for (const path of job.paths) {
    const copied = tryToCopy({ path, start: 0, size: undefined }, job);
    if (copied !== undefined) return copied;
  }
  const place = placeOf(job);
  return place && tryToCopy(place, job);
}

function tryToCopy(place: SpotInFile, { promised, target }: CopyJob): CopyAnswer['copied'] {
  try {
    return copyChecked(place, promised, target);
  } catch {
    // The disk of the copy is full, or the other one can't be read.
    return undefined;
  }
}

function placeOf({ directory, key, target }: CopyJob): SpotInFile | undefined {
  const before = known.get(directory);
  const found = before?.records?.find(key);
  const now = performance.now();
  if (found !== undefined || (before !== undefined && now - before.since < lookIntervalMs))
    return found;
  before?.records?.close();
  const records = openForeignRecords(directory, `${target}.lower`);
  known.set(directory, { records, since: now });
  return records?.find(key);
}
