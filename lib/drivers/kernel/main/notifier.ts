import { workerData } from 'node:worker_threads';
import { systemCalls } from '../../../machine/system-calls.js';
import type { NotifierStart } from '../messages.js';

/**
 * A thread that lives for one change of the snapshot and only writes notifications: the kernel may
 * hold it for a while, and nothing that it waits for may depend on it. Errors mean that the kernel knows
 * no such name or node, or that the mount is gone.
 */
const { device, messages } = workerData as NotifierStart;
const calls = systemCalls();
for (const message of messages) calls.write(device, Buffer.from(message), message.length);
calls.close(device);
