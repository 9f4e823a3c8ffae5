import type { Mounted } from '../../drivers/driver.js';
import { asPinfsError } from '../../format/errors.js';
import type { Log } from '../log.js';
import type { Timer } from './follow.js';
import type { MountSession } from './life.js';

/** What it counts is asked for anew each time. */
interface WithRequests {
  readonly statistics: Pick<Mounted['statistics'], 'requests'>;
}

// It is looked as often within the time that a mount may be idle.
const looksMin = 4;

/**
 * Ends a mount for which no request came for so long (ms; undefined: never), and which nobody has a file open of
 * or stands in: that is for the kernel to say, when it is asked to unmount.
 * @returns what ends the watch
 */
export function endWhenIdle(
  idle: number | undefined,
  session: Pick<MountSession, 'unmount'>,
  mounted: WithRequests,
  { timer, log }: { readonly timer: Timer; readonly log: Pick<Log, 'info' | 'warn'> },
): () => void {
  if (idle === undefined) return () => undefined;
  let stop = (): void => undefined;
  let over = false;
  let count = requestsOf(mounted);
  let since = timer.now();
  const look = async (): Promise<void> => {
    const now = requestsOf(mounted);
    if (now !== count) {
      count = now;
      since = timer.now();
    } else if (timer.now() - since >= idle) {
      await leave();
      since = timer.now();
    }
  };
  const leave = async (): Promise<void> => {
    try {
      await session.unmount('orderly');
      log.info(`nobody has used the mount for ${idle / 1000} s`);
    } catch (thrown) {
      const { code, message } = asPinfsError(thrown);
      if (code !== 'MOUNT_BUSY') log.warn(message);
    }
  };
  const later = (): void => {
    if (over) return;
    stop = timer.after(Math.ceil(idle / looksMin), () => void look().finally(later));
  };
  later();
  return () => {
    over = true;
    stop();
  };
}

/** All but those by which the kernel only lets go of what it knew. */
function requestsOf({ statistics }: WithRequests): number {
  return Object.entries(statistics.requests)
    .filter(([name]) => !/forget/i.test(name))
    .reduce((sum, [, count = 0]) => sum + count, 0);
}
