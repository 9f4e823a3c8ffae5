import { parentPort } from 'node:worker_threads';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { NoRoom } from './full.js';
import { prepareLarge } from './prepare.js';
import type { UnpackAnswer, UnpackJob } from './unpacker.js';

// The thread behind unpacker.ts: one job after the other.
let last = Promise.resolve();
parentPort?.on('message', (job: UnpackJob) => {
  // What is no job ends the thread.
  const { number } = job;
  last = last.then(async () => parentPort?.postMessage(await answer(number, job)));
});

async function answer(number: number, job: UnpackJob): Promise<UnpackAnswer> {
  const { stored, want, temporary } = job;
  try {
    const bytes = stored instanceof ArrayBuffer ? Buffer.from(stored) : stored;
    const { size, sha256 } = await prepareLarge(bytes, want, temporary);
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
