import { parentPort, workerData } from 'node:worker_threads';
import { systemCalls } from './device.js';
import type { NotifierStart } from './messages.js';

/**
 * A thread that lives for one change of the snapshot and only writes notifications: the kernel may
 * hold it for a while, and nothing that it waits for may depend on it. Says so once those that are
 * needed are written. Errors mean that the kernel knows no such name or node, or that the mount is gone.
 */
const { device, messages, needed } = workerData as NotifierStart;
const calls = systemCalls();
for (const [index, message] of messages.entries()) {
  if (index === needed) parentPort?.postMessage('done');
  calls.write(device, Buffer.from(message), message.length);
}
if (needed >= messages.length) parentPort?.postMessage('done');
calls.close(device);
