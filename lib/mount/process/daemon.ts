import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, closeSync, constants, renameSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { openToAppend } from '../../files/append.js';
import { boundedBytesMax } from '../../files/bounded.js';
import { holdDirectory } from '../../files/held.js';
import { makeDirectories } from '../../files/make.js';
import { errorCode } from '../../format/errno.js';
import { fileFault } from '../../format/file-fault.js';
import { machineFault, PinfsError } from '../../format/errors.js';
import { loadSchemas } from '../../format/schema.js';
import { checkAddressSpace, frugalArguments } from '../../machine/address-space.js';
import { checkFileLimit } from '../../machine/file-budget.js';
import { servingArguments, servingEnvironment } from '../../machine/memory.js';
import { dataDirectory } from '../../machine/places.js';
import { directories, processEnvironment } from '../../repository/open/environment.js';
import type { OpenOptions } from '../../repository/open/options.js';
import { checkFree } from '../../store/cache/layout.js';
import { passedDescriptor } from '../../machine/mountpoint.js';
import type { MountOptions } from '../options.js';
import { withAbsolutePaths, type MountSpec } from '../mount-spec.js';
import { mountName } from '../control/runtime.js';
import { answerValue, readLine, writeLine } from '../control/wire.js';

/**
 * Going to the background: a detached child is handed the options over a pipe, where they are not
 * seen by `ps` as arguments are, and answers with one line once its mount can be used.
 */

const answerBytesMax = 4 * 1024 * 1024;

/** Starts the child that serves; tests hand in another one. */
export type StartChild = (spec: MountSpec, log: string) => StartedChild;

export interface StartedChild {
  readonly child: ChildProcess;
  /** Our end of the pipe for the mount spec and its answer; undefined: spawn had no descriptor for it, and says so. */
  readonly pipe: Duplex | undefined;
}

/**
 * Mounts in a process of its own, which goes on when this one ends.
 * @param others what the same process mounts besides
 * @returns what the child answered: its MountStatus; a list of them, where there are others.
 * @throws PinfsError what the child's mount failed with; INTERNAL when it died without a word; MEMORY_LIMITED.
 */
export async function mountInBackground(
  options: OpenOptions,
  mount: MountOptions,
  startChild: StartChild = startDaemon,
  others: readonly MountSpec[] = [],
): Promise<unknown> {
  checkAddressSpace('mount');
  checkFileLimit();
  const absolute = withAbsolutePaths({ options, mount });
  const passed = passedDescriptor(absolute.mount.mountpoint);
  if (passed !== undefined) {
    // Already mounted, and served by nobody: not even the log may lie in it.
    const { preparePassedMount } = await import('../session/prepare-mountpoint.js');
    await preparePassedMount(absolute, undefined, passed);
  }
  const log = absolute.mount.log ?? defaultLog(absolute);
  const { automountPlace } = await import('../session/prepare-mountpoint.js');
  const held = passed === undefined ? await automountPlace(absolute.mount.mountpoint) : undefined;
  const place = held === undefined ? {} : { place: held.descriptor };
  const besides = others.map((other) => withLog(withAbsolutePaths(other)));
  const spec = {
    ...absolute,
    mount: { ...absolute.mount, ...place, log },
    ...(besides.length === 0 ? {} : { others: besides }),
  };
  try {
    const started = startChild(spec, log);
    try {
      return await handOver(started, spec, log);
    } finally {
      started.pipe?.destroy();
      started.child.unref();
    }
  } finally {
    held?.close();
  }
}

function withLog(spec: MountSpec): MountSpec {
  return { ...spec, mount: { ...spec.mount, log: spec.mount.log ?? defaultLog(spec) } };
}

async function handOver(
  { child, pipe }: StartedChild,
  spec: MountSpec,
  log: string,
): Promise<unknown> {
  let fault: PinfsError | undefined;
  const exited = new Promise<string>((settle) => {
    child.once('error', (error) => {
      fault = machineFault(error);
      settle(error.message);
    });
    child.once('exit', (code, signal) => {
      settle(signal === null ? `exit code ${code ?? '?'}` : signal);
    });
  });
  if (pipe === undefined) throw await exited.then((how) => fault ?? endedEarly(how, log));
  // Our own listener: readLine takes its away, and a child that is gone makes the write fail.
  pipe.on('error', () => undefined);
  void writeLine(pipe, spec);
  // For the answer, while the child is starting.
  loadSchemas();
  const line = await readLine(pipe, { bytes: answerBytesMax, milliseconds: 0 });
  if (line.kind === 'line') return answerValue(line.text);
  child.kill();
  throw await exited.then((how) => fault ?? endedEarly(how, log));
}

function endedEarly(how: string, log: string): PinfsError {
  return new PinfsError('INTERNAL', `the process of the mount ended early (${how})`, {
    advice: `Its last words may stand in ${log}; 'pinfs mount --foreground' shows them at once.`,
  });
}

function startDaemon(spec: MountSpec, log: string): StartedChild {
  const fd = openLogFile(log);
  // One or the other, and with the number that it has here.
  const inherited = passedDescriptor(spec.mount.mountpoint) ?? spec.mount.place;
  const pipeNumber = inherited === 3 ? 4 : 3;
  const stdio: ('ignore' | 'pipe' | number)[] = ['ignore', fd, fd];
  const last = Math.max(pipeNumber, inherited ?? 0);
  for (let number = 3; number <= last; number += 1) {
    stdio.push(number === pipeNumber ? 'pipe' : number === inherited ? number : 'ignore');
  }
  try {
    const script = fileURLToPath(new URL('./child.js', import.meta.url));
    // The words behind the number are for people who look at `ps`.
    const words = ['pinfs', 'mount', spec.mount.mountpoint];
    const flags = [...frugalArguments(), ...servingArguments];
    const args = [...flags, script, String(pipeNumber), ...words];
    const child = spawn(process.execPath, args, {
      cwd: '/',
      detached: true,
      env: servingEnvironment(process.env),
      stdio,
    });
    return { child, pipe: pipeOf(child, pipeNumber) };
  } finally {
    closeSync(fd);
  }
}

/** A socket that reads and writes, as spawn makes where a pipe is asked for. Where it finds no descriptor it makes none. */
function pipeOf(
  { stdio }: { readonly stdio?: readonly unknown[] },
  number: number,
): Duplex | undefined {
  return stdio?.[number] as Duplex | undefined;
}

/** @throws PinfsError USAGE when the log can't be written. */
function openLogFile(log: string): number {
  try {
    if ((statSync(log, { throwIfNoEntry: false })?.size ?? 0) > boundedBytesMax)
      renameSync(log, `${log}.1`);
    return openToAppend(log);
  } catch (thrown) {
    throw new PinfsError('USAGE', `can't write the log ${log}: ${fileFault(thrown, 'write').why}`, {
      advice: 'Give another one with --log FILE.',
    });
  }
}

/** A file in the state directory, the same for each mount on one mountpoint. */
function defaultLog({ options, mount }: MountSpec): string {
  const { cache, state } = directories(options, processEnvironment);
  // Nothing is made in a directory of somebody else, such as /etc.
  if (options.cache !== undefined) checkFree(cache);
  const name = `${mountName(mount.mountpoint)}.log`;
  try {
    return logIn(state, name);
  } catch (thrown) {
    // A cache on a disk that can only be read.
    if (errorCode(thrown) === 'EROFS' && options.cache !== undefined)
      return logIn(dataDirectory('state', processEnvironment.variables), name);
    const log = join(state, 'log', name);
    throw new PinfsError(
      'STATE_UNUSABLE',
      `can't make ${dirname(log)}: ${fileFault(thrown, 'write').why}`,
      {
        advice: 'Give a log with --log FILE.',
      },
    );
  }
}

/** Makes the directory of logs in a state. @throws UnsafeDirectory; errors of the file system. */
function logIn(state: string, name: string): string {
  const directory = join(state, 'log');
  makeDirectories(directory);
  holdDirectory(directory).close();
  // What is there already may lie on a disk that can only be read.
  accessSync(directory, constants.W_OK);
  return join(directory, name);
}
