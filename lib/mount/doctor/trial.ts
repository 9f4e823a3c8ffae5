import { spawn } from 'node:child_process';
import { mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Driver } from '../../drivers/driver.js';
import { findMount, mountType } from '../../machine/mountinfo.js';
import { currentMounts, unmountFound } from '../../machine/unmount.js';
import { asPinfsError } from '../../format/errors.js';
import { decoder, parseJson } from '../../format/schema.js';
import { noValue } from '../../trust/verdict/verdict-schema.js';
import { temporaryDirectory } from '../../machine/places.js';

/** Why something that was tried does not work. */
export interface TrialFailure {
  readonly message: string;
  readonly mend: string | undefined;
}

/** What a directory can do. */
export interface DirectoryTrial {
  /** Its file system has fs-verity; undefined: could not be seen. */
  readonly verity?: boolean | undefined;
}

/** What the process that tries says. */
export type TrialAnswer =
  ({ readonly ok: true } & DirectoryTrial) | ({ readonly ok: false } & TrialFailure);

/** Milliseconds for one trial: mount(2), a lock or a read may never come back. */
const trialTimeout = 30_000;

/**
 * Mounts a tiny tree in a private directory through a driver, reads a file of it from another process, and takes
 * the mount away again. @returns why it can't be done; undefined if it can.
 */
export async function tryDriver(
  name: Driver['name'],
  milliseconds = trialTimeout,
): Promise<TrialFailure | undefined> {
  let place: string | undefined;
  try {
    place = realpathSync(mkdtempSync(join(temporaryDirectory(), 'pinfs-trial-')));
    const answer = await ask(name, place, milliseconds);
    return answer.ok ? undefined : { message: answer.message, mend: answer.mend };
  } catch (thrown) {
    const { message, advice } = asPinfsError(thrown);
    return { message, mend: advice };
  } finally {
    await remove(place);
  }
}

/** Opens a database in a directory, as the cache and the state are. Leaves nothing there. */
export function tryDirectory(directory: string, milliseconds = trialTimeout): Promise<TrialAnswer> {
  return ask('directory', directory, milliseconds);
}

function ask(what: string, place: string, milliseconds: number): Promise<TrialAnswer> {
  return new Promise((resolve) => {
    const script = join(import.meta.dirname, 'trial-child.js');
    const child = spawn(process.execPath, [script, what, place], {
      cwd: '/',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    let words = '';
    const say = (answer: TrialAnswer): void => {
      clearTimeout(timer);
      // One that hangs in the kernel does not even die: it is not waited for.
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      resolve(answer);
    };
    const timer = setTimeout(() => {
      const message = `it was tried, and did not come back within ${milliseconds / 1000} s`;
      say({ ok: false, message, mend: undefined });
    }, milliseconds);
    child.stdout.on('data', (data: Buffer) => (text += data.toString('utf8')));
    child.stderr.on('data', (data: Buffer) => {
      if (words.length < 2000) words += data.toString('utf8');
    });
    child.on('error', ({ message }) => {
      say({ ok: false, message, mend: undefined });
    });
    child.on('close', (code, signal) => {
      const how = signal ?? `exit code ${code ?? '?'}`;
      say(
        readAnswer(text) ?? { ok: false, message: `${how}: ${lastLine(words)}`, mend: undefined },
      );
    });
  });
}

const answerOf = decoder((v) =>
  v.variant('ok', [
    v.object({ ok: v.literal(true), verity: v.optional(v.boolean()) }),
    v.object({ ok: v.literal(false), message: v.string(), mend: v.optional(v.string(), noValue) }),
  ]),
);

function readAnswer(text: string): TrialAnswer | undefined {
  return answerOf(parseJson(text));
}

function lastLine(words: string): string {
  return words.trim().split('\n').at(-1)?.slice(0, 300) ?? '';
}

async function remove(place: string | undefined): Promise<void> {
  if (place === undefined) return;
  try {
    const left = findMount(await currentMounts(), place);
    if (left?.type === mountType) await unmountFound(left, 'force');
    rmdirSync(place);
  } catch {
    return;
  }
}
