import { rmSync } from 'node:fs';
import { asPinfsError } from '../../format/errors.js';
import { version } from '../../machine/version.js';
import type { MountOptions } from '../options.js';
import type { Log } from '../log.js';
import type { SessionRecording } from './recording.js';

/** Where accesses are recorded, by themselves or for a profile; undefined: nowhere. */
export function recordingFile({ record, learn }: MountOptions): string | undefined {
  return record ?? (learn === undefined ? undefined : `${learn}.trace`);
}

/** Makes what was recorded whole, and the profile of it; a failure of that is told in the log, and the trace is kept. */
export async function finishRecording(
  recording: Pick<SessionRecording, 'close'>,
  mount: MountOptions,
  log: Log,
): Promise<void> {
  await recording.close();
  const { learn } = mount;
  const trace = recordingFile(mount);
  if (learn === undefined || trace === undefined) return;
  try {
    const { readTraceFile } = await import('../../trace/read-trace-file.js');
    const { makeProfile } = await import('../../profile/make-profile.js');
    const { writeProfileFile } = await import('../../profile/profile-file.js');
    const facts = { made: new Date().toISOString(), writer: `pinfs ${version}` };
    const profile = makeProfile(readTraceFile(trace), facts);
    writeProfileFile(learn, profile);
    rmSync(trace);
    log.info(`learned ${profile.uses.length} objects: ${learn}`);
  } catch (thrown) {
    const { code, message } = asPinfsError(thrown);
    log.warn(`${code}: no profile was made of ${trace}: ${message}`);
  }
}
