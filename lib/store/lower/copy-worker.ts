import { parentPort } from 'node:worker_threads';
import { copyChecked } from './checked-copy.js';
import type { CopyAnswer, CopyJob } from './copier.js';

// The thread behind copier.ts: one job after the other. What it can't do is as good as not there.
parentPort?.on('message', ({ number, paths, promised, target }: CopyJob) => {
  let copied: CopyAnswer['copied'];
  for (const path of paths) {
    try {
      copied = copyChecked(path, promised, target);
    } catch {
      // The disk of the copy is full, or the other one can't be read.
    }
    if (copied !== undefined) break;
  }
  parentPort?.postMessage({ number, copied } satisfies CopyAnswer);
});
