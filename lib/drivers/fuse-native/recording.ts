import type { Store } from '../../store/store.js';
import { openRecorder, type RecordSink } from '../recorder.js';

// How long records wait while nothing is asked (ms).
const idleIntervalMs = 500;

/** Recording where accesses and fetches are in one thread. libfuse does not tell here who asks. */
export function openOwnRecording(
  store: Pick<Store, 'shelf' | 'fetched'>,
): (sink: RecordSink | undefined) => void {
  let end: (() => void) | undefined;
  return (sink) => {
    end?.();
    end = undefined;
    if (sink === undefined) return;
    const recorder = openRecorder({ sink, caller: () => 0 });
    const timer = setInterval(() => {
      recorder.idle();
    }, idleIntervalMs).unref();
    store.shelf.record?.(recorder);
    store.fetched = (key, storedBytes) => {
      recorder.fetched(key, storedBytes);
    };
    end = () => {
      clearInterval(timer);
      store.shelf.record?.(undefined);
      store.fetched = undefined;
      recorder.flush();
    };
  };
}
