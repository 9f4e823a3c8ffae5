import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Driver } from '../../drivers/driver.js';
import { findMount, mountType } from '../../machine/mountinfo.js';
import { currentMounts, unmountFound } from '../../machine/unmount.js';
import { errorCode, errorReason } from '../../format/errno.js';
import { asPinfsError, machineFault, PinfsError } from '../../format/errors.js';
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

/** How long one trial may take: mount(2), a lock or a read may never come back. */
const trialTimeoutMs = 30_000;
/** How long a killed process is waited for: one that hangs in the kernel does not even die. */
const dyingTimeoutMs = 5000;

/** What only tests change. */
export interface TrialParts {
  readonly milliseconds?: number;
  /** The program that tries. */
  readonly script?: string;
}

/**
 * Mounts a tiny tree in a private directory through a driver, reads a file of it from another process, and takes
 * the mount away again. @returns why it can't be done, or what is left of it; undefined if all is well.
 */
export async function tryDriver(
  name: Driver['name'],
  parts: TrialParts = {},
): Promise<TrialFailure | undefined> {
  let place: string | undefined;
  let failure: TrialFailure | undefined;
  try {
    place = realpathSync(mkdtempSync(join(temporaryDirectory(), 'pinfs-trial-')));
    const answer = await ask(name, place, parts);
    if (!answer.ok) failure = { message: answer.message, mend: answer.mend };
  } catch (thrown) {
    failure = trialFailure(thrown);
  }
  const left = place === undefined ? undefined : await remove(place);
  if (left === undefined) return failure;
  return failure === undefined
    ? left
    : { message: `${failure.message}; ${left.message}`, mend: failure.mend ?? left.mend };
}

function trialFailure(thrown: unknown): TrialFailure {
  const { message, advice } = asPinfsError(thrown);
  return { message, mend: advice };
}

/** Opens a database in a directory, as the cache and the state are. Leaves nothing there, unless it says so. */
export async function tryDirectory(
  directory: string,
  parts: TrialParts = {},
): Promise<TrialAnswer> {
  const name = `.pinfs-doctor-${randomBytes(6).toString('hex')}`;
  const place = join(directory, name);
  try {
    return await ask('directory', place, parts);
  } catch (thrown) {
    return { ok: false, ...trialFailure(thrown) };
  }
}

/** @throws PinfsError FILES_EXHAUSTED, MEMORY_LIMITED; errors of spawn. */
async function ask(what: string, place: string, parts: TrialParts): Promise<TrialAnswer> {
  const { milliseconds = trialTimeoutMs, script = usualScript } = parts;
  const child = spawn(process.execPath, [script, what, place], {
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<string | Error>((resolve) => {
    child.once('error', resolve);
    child.once('close', (code, signal) => {
      resolve(signal ?? `exit code ${code ?? '?'}`);
    });
  });
  const text = collect(child.stdout, 64 * 1024);
  const words = collect(child.stderr, 2000);
  const how = await within(ended, milliseconds);
  if (how instanceof Error) throw machineFault(how) ?? how;
  if (how !== undefined) {
    return (
      readAnswer(text()) ?? { ok: false, message: `${how}: ${lastLine(words())}`, mend: undefined }
    );
  }
  // It can do no more harm to what is taken away behind it.
  child.kill('SIGKILL');
  const isOver = (await within(ended, dyingTimeoutMs)) !== undefined;
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  const rest = isOver ? '' : `, and its process ${child.pid ?? '?'} can't be ended`;
  return {
    ok: false,
    message: `it was tried, and did not come back within ${milliseconds / 1000} s${rest}`,
    mend: what === 'directory' ? `Look whether ${place} is left there, and remove it.` : undefined,
  };
}

const usualScript = join(import.meta.dirname, 'trial-child.js');

/** What came of it; undefined: nothing in this time. */
async function within<Value>(
  value: Promise<Value>,
  milliseconds: number,
): Promise<Value | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => {
      resolve(undefined);
    }, milliseconds);
  });
  return await Promise.race([value, over]).finally(() => {
    clearTimeout(timer);
  });
}

/** What a stream says, up to so many characters. Where no descriptor is left, spawn makes no stream. */
function collect(stream: Readable | undefined, lengthMax: number): () => string {
  let text = '';
  stream?.on('data', (data: Buffer) => {
    if (text.length < lengthMax) text += data.toString('utf8');
  });
  return () => text;
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

/** Takes away what a trial left. @returns why it can't be. */
async function remove(place: string): Promise<TrialFailure | undefined> {
  try {
    if (removeFree(place)) return undefined;
    const left = findMount(await currentMounts(), place);
    if (left?.type === mountType) await unmountFound(left, 'force');
    rmdirSync(place);
    return undefined;
  } catch (thrown) {
    const reason = thrown instanceof PinfsError ? thrown.message : errorReason(thrown);
    return {
      message: `what was tried could not be taken away from ${place}: ${reason}`,
      mend: `Take it away: umount -l ${place}; rm -r ${place}`,
    };
  }
}

/** Whether nothing is mounted there any more, so that it is gone now. @throws errors of the file system but EBUSY. */
function removeFree(place: string): boolean {
  try {
    rmdirSync(place);
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'EBUSY') return false;
    throw thrown;
  }
}
