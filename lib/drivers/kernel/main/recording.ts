import type { Store } from '../../../store/store.js';
import type { RecordSink } from '../../recorder.js';
import type { FetchedObject } from '../messages.js';
import type { Link } from './link.js';

/** The main thread's part of recording: the worker notes accesses, and is told here what came for them. */
export interface Recording {
  /** Gives records to a sink from now on; undefined: ends, and resolves when the last ones were given. */
  record(
    link: Pick<Link, 'send' | 'sendLater' | 'ended'>,
    sink: RecordSink | undefined,
  ): Promise<void>;
  /** What the worker noted; undefined: that was all. */
  readonly recorded: (block: Uint8Array<ArrayBuffer> | undefined, accesses: number) => void;
  /** What came and the worker was not told of yet; undefined: nothing, or nobody records. */
  readonly takeFetched: () => readonly FetchedObject[] | undefined;
}

// Objects that came for nobody are told of together, not later than this (ms).
const tellingDelayMs = 20;

export function openRecording(store: Pick<Store, 'fetched'>): Recording {
  let sink: RecordSink | undefined;
  let fetched: FetchedObject[] = [];
  let timer: NodeJS.Timeout | undefined;
  let ended: () => void = () => undefined;

  function takeFetched(): FetchedObject[] | undefined {
    if (fetched.length === 0) return undefined;
    const taken = fetched;
    fetched = [];
    return taken;
  }

  return {
    takeFetched,
    recorded(block, accesses) {
      if (block === undefined) ended();
      else sink?.(block, accesses);
    },
    async record(link, next) {
      if (next !== undefined) {
        sink = next;
        store.fetched = (key, storedBytes) => {
          fetched.push([key, storedBytes]);
          timer ??= setTimeout(() => {
            timer = undefined;
            const objects = takeFetched();
            if (objects !== undefined) link.sendLater({ kind: 'fetched', objects });
          }, tellingDelayMs).unref();
        };
        link.send({ kind: 'record', on: true });
        return;
      }
      store.fetched = undefined;
      const last = new Promise<void>((resolve) => {
        ended = resolve;
      });
      link.send({ kind: 'record', on: false });
      await Promise.race([last, link.ended]);
      sink = undefined;
    },
  };
}
