import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import t from 'tap';
import { blockSignals } from './signals.js';

function koffiLoads(): boolean {
  try {
    createRequire(import.meta.url)('koffi');
    return process.platform === 'linux';
  } catch {
    return false;
  }
}

const needsKoffi = koffiLoads() ? {} : { skip: 'koffi does not load here' };

const readMask = "require('fs').readFileSync('/proc/thread-self/status', 'latin1')";

/** Whether SIGCHLD (17) is in the line SigBlk of a thread's status. */
function childBlocked(status: string): boolean {
  const mask = BigInt(`0x${/^SigBlk:\t([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  return (mask & (1n << 16n)) !== 0n;
}

function blockedHere(): boolean {
  return childBlocked(readFileSync('/proc/thread-self/status', 'latin1'));
}

async function blockedInNewThread(): Promise<boolean> {
  const worker = new Worker(`require('worker_threads').parentPort.postMessage(${readMask})`, {
    eval: true,
  });
  const [status] = (await once(worker, 'message')) as [string];
  await worker.terminate();
  return childBlocked(status);
}

void t.test('threads made while signals are blocked never get them', needsKoffi, async (t) => {
  t.notOk(blockedHere());
  const unblock = blockSignals();
  t.ok(blockedHere());
  t.ok(await blockedInNewThread());
  unblock();
  t.notOk(blockedHere());
  t.notOk(await blockedInNewThread());
});
