import type { Mounted } from '../../drivers/driver.js';
import type { RecordSink } from '../../drivers/recorder.js';
import { fromText, printable } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { version } from '../../machine/version.js';
import type { Repository } from '../../repository/repository.js';
import type { TraceHeader } from '../../trace/trace.js';
import type { TraceFile } from '../../trace/write-trace-file.js';
import type { Log } from '../log.js';

/** What is recorded of a mount, or was. */
export interface RecordingStatus {
  readonly file: string;
  /** ISO 8601 UTC. */
  readonly since: string;
  readonly accesses: number;
  /** Bytes of the file. */
  readonly bytes: number;
  /** Why it ended by itself; null: it goes on, or was stopped. */
  readonly failure: string | null;
}

/** The recording of a mount: at most one at a time. */
export interface SessionRecording {
  /**
   * Begins a trace, before the mount is there. @param file an absolute path
   * @throws PinfsError RECORDING_REFUSED, USAGE, OUTPUT_FAILED.
   */
  begin(file: string, repository: Repository): Promise<RecordSink>;
  /** The mount is there. */
  mounted(mounted: Pick<Mounted, 'record'>): void;
  /** Begins a trace of the mount. @throws as `begin`. */
  start(file: string, repository: Repository): Promise<RecordingStatus>;
  /** Ends it; the trace is complete then. @throws PinfsError RECORDING_REFUSED: there is none. */
  stop(): Promise<RecordingStatus>;
  /** The mount has ended. */
  close(): Promise<void>;
  /** Null: nothing is recorded, and nothing ended by itself. */
  status(): RecordingStatus | null;
}

interface Running {
  readonly file: string;
  readonly since: string;
  readonly trace: TraceFile;
  failure: string | null;
}

/** @param isComplete the kernel keeps nothing of this mount. */
export function openSessionRecording(log: Log, isComplete: boolean): SessionRecording {
  let running: Running | undefined;
  let driver: Pick<Mounted, 'record'> | undefined;

  async function begin(file: string, repository: Repository): Promise<RecordSink> {
    if (running !== undefined && running.failure === null) {
      throw refused(`this mount is recorded to ${printable(fromText(running.file))} already`);
    }
    const { openTraceFile } = await import('../../trace/write-trace-file.js');
    const since = Date.now();
    const failed = (reason: unknown): void => {
      giveUp(next, reason);
    };
    let trace: TraceFile;
    try {
      trace = openTraceFile(file, headerOf(repository, since, isComplete), failed);
    } catch (cause) {
      if (cause instanceof PinfsError) throw cause;
      throw new PinfsError('OUTPUT_FAILED', `can't write the trace ${file}: ${textOf(cause)}`, {
        cause,
      });
    }
    const next: Running = { file, since: new Date(since).toISOString(), trace, failure: null };
    running = next;
    log.info(`recording accesses to ${file}`);
    return (block, accesses) => {
      trace.add(block, accesses);
    };
  }

  function giveUp(ending: Running, reason: unknown): void {
    ending.failure = textOf(reason);
    log.warn(`OUTPUT_FAILED: the trace ${ending.file} ends here: ${ending.failure}`);
    void driver?.record(undefined).then(() => ending.trace.end());
  }

  async function end(): Promise<Running | undefined> {
    const ending = running;
    if (ending === undefined || ending.failure !== null) return undefined;
    await driver?.record(undefined);
    await ending.trace.end();
    running = undefined;
    return ending;
  }

  return {
    begin,
    mounted(mounted) {
      driver = mounted;
      if (running !== undefined && running.failure !== null) void mounted.record(undefined);
    },
    async start(file, repository) {
      await driver?.record(await begin(file, repository));
      return statusOf(running) ?? Promise.reject(refused('nothing is recorded'));
    },
    async stop() {
      const ended = statusOf(await end());
      if (ended === null) throw refused('nothing is recorded of this mount');
      log.info(`recorded ${ended.accesses} accesses to ${ended.file}`);
      return ended;
    },
    async close() {
      await end();
    },
    status: () => statusOf(running),
  };
}

function statusOf(running: Running | undefined): RecordingStatus | null {
  if (running === undefined) return null;
  const { file, since, trace, failure } = running;
  return { file, since, accesses: trace.accesses, bytes: trace.bytes, failure };
}

function headerOf(repository: Repository, startedAt: number, isComplete: boolean): TraceHeader {
  const { identity } = repository.descriptor;
  return {
    startedAt,
    repository: repository.fqrn,
    rootHash: identity.rootHash,
    source: identity.sourceLabel,
    isComplete,
    cacheLimit: repository.store.statistics.limit,
    writer: `pinfs ${version}`,
  };
}

function refused(message: string): PinfsError {
  return new PinfsError('RECORDING_REFUSED', message);
}

function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
