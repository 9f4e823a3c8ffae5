import { Socket } from 'node:net';
import { PinfsError } from '../../format/errors.js';
import { driverLoaders, prepareDriver } from '../session/choose.js';
import type { Log } from '../log.js';
import type { MountSpec } from '../mount-spec.js';
import { failedAnswer, parseObject, readLine, writeLine } from '../control/wire.js';

/** The process of a mount in the background: started by daemon.ts, which says what is done here. */

const orderLimits = { bytes: 1024 * 1024, milliseconds: 30_000 };

/** Reads what to mount from the pipe, mounts, answers, serves. @returns the exit code. */
async function serveOrder(pipe: Socket): Promise<number> {
  const answered = { yet: false };
  try {
    const { options, mount } = await readSpec(pipe);
    // Whoever gave up waiting for the mount must not find it later.
    pipe.once('close', () => {
      if (!answered.yet) process.kill(process.pid, 'SIGTERM');
    });
    pipe.resume();
    // The driver's thread starts while this one loads all the rest.
    await prepareDriver(mount.driver, driverLoaders());
    const { serveMount } = await import('./foreground.js');
    return await serveMount(options, mount, async (session) => {
      answered.yet = true;
      outputToLog(session.log);
      await writeLine(pipe, { ok: true, value: session.status() });
      pipe.destroy();
    });
  } catch (thrown) {
    const said = failedAnswer(thrown);
    if (answered.yet) throw thrown;
    answered.yet = true;
    await writeLine(pipe, said);
    pipe.destroy();
    return thrown instanceof PinfsError ? thrown.exit : 1;
  }
}

/** What this process or a package says for itself is bounded, and put aside, with the log. */
function outputToLog(log: Log): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.write = (text: Uint8Array | string) => {
      log.warn(Buffer.from(text).toString('utf8').trimEnd());
      return true;
    };
  }
}

async function readSpec(pipe: Socket): Promise<MountSpec> {
  const line = await readLine(pipe, orderLimits);
  const spec = line.kind === 'line' ? parseObject(line.text) : undefined;
  if (spec === undefined) throw new PinfsError('INTERNAL', 'the mount spec did not arrive');
  // Written by the same version of pinfs a moment ago.
  return spec as unknown as MountSpec;
}

const pipe = new Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
process.exit(await serveOrder(pipe));
