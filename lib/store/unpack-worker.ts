import { parentPort } from 'node:worker_threads';
import { PinfsError } from '../format/errors.js';
import { NoRoom } from './full.js';
import { errorCode } from './layout.js';
import { prepareObject } from './prepare.js';
import type { UnpackAnswer, UnpackJob } from './unpacker.js';

// The thread behind unpacker.ts: one job after the other.
parentPort?.on('message', (job: UnpackJob) => {
  parentPort?.postMessage(answer(job));
});

function answer(job: UnpackJob): UnpackAnswer {
  const { number, stored, want, temporary } = job;
  try {
    const { size, sha256 } = prepareObject(Buffer.from(stored), want, temporary);
    return { number, size, sha256 };
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    if (thrown instanceof NoRoom) {
      return { number, noRoom: { bytes: thrown.bytes, unmeasured: thrown.unmeasured } };
    }
    if (thrown instanceof PinfsError) return { number, refused: { code: thrown.code, message } };
    return { number, failed: { code: errorCode(thrown), message } };
  }
}
