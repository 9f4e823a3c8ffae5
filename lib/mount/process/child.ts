import { Socket } from 'node:net';
import { PinfsError } from '../../format/errors.js';
import { parseJson } from '../../format/schema.js';
import { driverLoaders, prepareDriver } from '../session/choose.js';
import type { Log } from '../log.js';
import type { MountSpec } from '../mount-spec.js';
import { readMountSpec } from '../mount-spec-json.js';
import { failedAnswer, readLine, writeLine } from '../control/wire.js';

/** The process of a mount in the background: started by daemon.ts, which says what is done here. */

const specLimits = { bytes: 1024 * 1024, milliseconds: 30_000 };

/** Reads what to mount from the pipe, mounts, answers, serves. @returns the exit code. */
async function serveSpec(pipe: Socket): Promise<number> {
  const answered = { yet: false };
  try {
    const spec = await readSpec(pipe);
    // Whoever gave up waiting for the mount must not find it later.
    pipe.once('close', () => {
      if (!answered.yet) process.kill(process.pid, 'SIGTERM');
    });
    pipe.resume();
    // The driver's thread starts while this one loads all the rest.
    await prepareDriver(spec.mount.driver, driverLoaders());
    const { serveMounts } = await import('./foreground.js');
    return await serveMounts([spec, ...(spec.others ?? [])], async ([first, ...others]) => {
      answered.yet = true;
      outputToLog(first.log);
      const status = first.status();
      const value = others.length === 0 ? status : [status, ...others.map((one) => one.status())];
      await writeLine(pipe, { ok: true, value });
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
  const line = await readLine(pipe, specLimits);
  if (line.kind !== 'line') throw new PinfsError('INTERNAL', 'the mount spec did not arrive');
  // Written by this version a moment ago, unless it was replaced meanwhile.
  const spec = readMountSpec(parseJson(line.text));
  if (spec === undefined)
    throw new PinfsError('INTERNAL', 'the mount spec is none', {
      advice: 'Was pinfs replaced by another version just now? Then try again.',
    });
  return spec;
}

const pipe = new Socket({ fd: Number(process.argv[2]), readable: true, writable: true });
void serveSpec(pipe).then((code) => process.exit(code));
