import { Worker } from 'node:worker_threads';
import { PinfsError } from '../../../format/errors.js';
import { threadCodeMb } from '../../../machine/address-space.js';
import { systemCalls } from '../../../machine/system-calls.js';
import type { NotifierStart } from '../messages.js';

/**
 * Tells the kernel of a change, from a thread with a descriptor of its own, so that the number can't become
 * another file's. Resolves when all is written.
 * @throws PinfsError INTERNAL: the kernel could not be told.
 */
export async function notify(device: number, messages: readonly Uint8Array[]): Promise<void> {
  const duplicate = systemCalls().duplicate(device);
  if (duplicate < 0) throw new PinfsError('INTERNAL', `no descriptor: errno ${-duplicate}`);
  const workerData: NotifierStart = { messages, device: duplicate };
  const thread = new Worker(new URL('./notifier.js', import.meta.url), {
    workerData,
    resourceLimits: { codeRangeSizeMb: threadCodeMb },
  });
  await new Promise<void>((resolve, reject) => {
    thread.once('error', (cause) => {
      reject(new PinfsError('INTERNAL', `the kernel could not be told: ${cause.message}`));
    });
    thread.once('exit', () => {
      resolve();
    });
  });
}
