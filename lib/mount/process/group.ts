import type { MountEnd } from '../../drivers/driver.js';
import type { UnmountMode } from '../../machine/unmount.js';
import type { Unmounted } from '../control/leave.js';
import type { MountSession } from '../session/session.js';

/** What the process has to do with its mount, or with all of them. */
export type GuardedSession = Pick<MountSession, 'unmount' | 'refresh' | 'ended'>;

/** Several mounts of one process, as its signals see them: they end together, and it ends with the last. */
export function groupOf(sessions: readonly GuardedSession[]): GuardedSession {
  const living = new Set(sessions);
  const ends = sessions.map(async (session) => {
    const end = await session.ended;
    living.delete(session);
    return end;
  });
  return {
    ended: Promise.all(ends).then(worstOf),
    refresh: () => {
      for (const session of living) session.refresh();
    },
    /** Those that can go do so, also where one can't. @throws PinfsError that of the first which can't */
    async unmount(mode?: UnmountMode): Promise<Unmounted> {
      const asked = await Promise.allSettled([...living].map((session) => session.unmount(mode)));
      const failed = asked.find((one) => one.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      const left = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
      return left.find(({ ended }) => !ended) ?? { ended: true };
    },
  };
}

function worstOf(ends: readonly MountEnd[]): MountEnd {
  const bad = ends.find(({ reason }) => reason !== 'unmounted');
  return bad ?? ends[0] ?? { reason: 'unmounted', message: 'nothing was mounted' };
}
