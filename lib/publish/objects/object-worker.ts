import { parentPort } from 'node:worker_threads';
import { errorCode } from '../../format/errno.js';
import { Changed, findCuts, packObject, Unreadable } from './job.js';
import { Unwritable } from './place.js';
import type { ThreadAnswer, ThreadQuestion } from './threads.js';

// The thread behind threads.ts: one job after the other, answered as they were asked, several together.
parentPort?.on('message', (questions: readonly ThreadQuestion[]) => {
  const answers = questions.map(answerTo);
  const given = answers.flatMap((answer) => {
    const packed = 'done' in answer && 'packed' in answer.done ? answer.done.packed : undefined;
    return packed instanceof Uint8Array ? [packed.buffer as ArrayBuffer] : [];
  });
  parentPort?.postMessage(answers, given);
});

function answerTo(question: ThreadQuestion): ThreadAnswer {
  try {
    return { done: question.kind === 'pack' ? packObject(question) : findCuts(question) };
  } catch (thrown) {
    if (thrown instanceof Changed) return { changed: true };
    if (thrown instanceof Unreadable) return { unreadable: thrown.reason };
    if (thrown instanceof Unwritable)
      return { unwritable: { code: thrown.code, message: thrown.message } };
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return { failed: { code: errorCode(thrown), message } };
  }
}
