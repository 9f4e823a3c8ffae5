import { Worker } from 'node:worker_threads';
import { PinfsError } from '../../format/errors.js';
import { systemCalls } from './device.js';
import type { NotifierStart, Notifications } from './messages.js';

/** A thread that tells the kernel of a change. */
export interface Notifying {
  /** The notifications that are needed are written; the others go on in the background. */
  readonly told: Promise<void>;
  readonly exited: Promise<void>;
}

/** Starts it; it has a descriptor of its own, so that the number can't become another file's. */
export function notify(device: number, change: Notifications): Notifying {
  const duplicate = systemCalls().duplicate(device);
  if (duplicate < 0) throw new PinfsError('INTERNAL', `no descriptor: errno ${-duplicate}`);
  const workerData: NotifierStart = { ...change, device: duplicate };
  const thread = new Worker(new URL('./notifier.js', import.meta.url), { workerData });
  const exited = new Promise<void>((resolve) => {
    thread.once('exit', () => {
      resolve();
    });
  });
  const told = new Promise<void>((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', (cause) => {
      reject(new PinfsError('INTERNAL', `the kernel could not be told: ${cause.message}`));
    });
    void exited.then(resolve);
  });
  return { told, exited };
}
