import { resolve } from 'node:path';
import { PinfsError } from '../format/errors.js';
import { decoder } from '../format/schema.js';
import { askMount } from './ask.js';
import type { RecordingStatus } from './session/recording.js';
import { recordingSchema } from './session/status-json.js';

/** The accesses of a running mount are recorded, or no more: asked for through its control socket. */

// To end a recording, what waits for its disk is written.
const recordTimeoutMs = 60_000;

/**
 * Begins a trace of the mount at a directory, or ends it. @param file undefined: ends it
 * @throws PinfsError NOT_MOUNTED, MOUNT_BUSY (its process does not answer), RECORDING_REFUSED, USAGE, OUTPUT_FAILED
 */
export async function recordMount(
  mountpoint: string,
  file: string | undefined,
  directories: readonly string[],
): Promise<RecordingStatus> {
  const request =
    file === undefined
      ? { command: 'record' as const }
      : { command: 'record' as const, file: resolve(file) };
  const value = await askMount(mountpoint, request, recordTimeoutMs, directories);
  const recording = readRecording(value);
  if (recording !== undefined) return recording;
  throw new PinfsError('INTERNAL', 'the process of the mount gave an answer that is none');
}

const readRecording = decoder((v) => recordingSchema(v));
