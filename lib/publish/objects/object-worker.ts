import { parentPort } from 'node:worker_threads';
import { errorCode } from '../../format/errno.js';
import { Changed, findCuts, packObject, Unreadable } from './job.js';
import type { ThreadAnswer, ThreadQuestion } from './threads.js';

// The thread behind threads.ts: one job after the other.
parentPort?.on('message', (question: ThreadQuestion) => {
  const answer = answerTo(question);
  const packed = 'done' in answer && 'packed' in answer.done ? answer.done.packed : undefined;
  const given = packed instanceof Uint8Array ? [packed.buffer as ArrayBuffer] : [];
  parentPort?.postMessage(answer, given);
});

function answerTo(question: ThreadQuestion): ThreadAnswer {
  const { number } = question;
  try {
    return { number, done: question.kind === 'pack' ? packObject(question) : findCuts(question) };
  } catch (thrown) {
    if (thrown instanceof Changed) return { number, changed: true };
    if (thrown instanceof Unreadable) return { number, unreadable: thrown.reason };
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return { number, failed: { code: errorCode(thrown), message } };
  }
}
