/**
 * Run with fork(): mounts a head that it asks for again when its parent says so, not when a time is
 * over. The mount is its own, so that nobody waits for himself.
 */
import type { Driver } from '../lib/drivers/driver.js';
import { mountKernel } from '../lib/drivers/kernel/main/driver.js';
import { usualWishes } from '../lib/drivers/kernel/protocol/negotiation.js';
import type { DriverLoader } from '../lib/mount/session/choose.js';
import type { Timer } from '../lib/mount/session/follow.js';
import type { MountOptions } from '../lib/mount/options.js';
import { realParts, runMount, type MountSession } from '../lib/mount/session/session.js';
import type { OpenOptions } from '../lib/repository/open/options.js';

export interface DaemonSpec {
  readonly options: OpenOptions;
  readonly mount: MountOptions;
  /** Speak no newer minor version of the FUSE protocol (kernel driver). */
  readonly minor?: number;
}

export type FromDaemon =
  | { readonly kind: 'mounted'; readonly rootHash: string | undefined }
  | { readonly kind: 'refused'; readonly message: string }
  /** The head was asked for, and what there was to apply is applied. */
  | {
      readonly kind: 'checked';
      readonly rootHash: string | undefined;
      readonly problem: string | undefined;
    };

function tell(message: FromDaemon): void {
  if (process.connected) process.send?.(message);
}

// Far more than any time to live.
const leap = 2 * 86_400_000;

interface TurnedTimer extends Timer {
  /** All times are over now. */
  leap(): void;
}

function turnedTimer(): TurnedTimer {
  const pending = new Set<() => void>();
  let ahead = 0;
  return {
    now: () => Date.now() + ahead,
    after(_milliseconds, callback) {
      pending.add(callback);
      return () => pending.delete(callback);
    },
    leap() {
      ahead += leap;
      const due = [...pending];
      pending.clear();
      for (const callback of due) callback();
    },
  };
}

function check(session: MountSession, timer: TurnedTimer): void {
  const before = session.status().head?.nextCheck;
  timer.leap();
  const look = (): void => {
    const { head, verdict } = session.status();
    // The time of the next check is set when one is over.
    if (head?.nextCheck === before) {
      setTimeout(look, 2);
      return;
    }
    const problem = head?.lastProblem;
    tell({
      kind: 'checked',
      rootHash: verdict.rootHash,
      problem: problem === null ? undefined : problem?.message,
    });
  };
  look();
}

/** The kernel driver as it is with an older kernel. */
function olderDriver(minor: number): DriverLoader {
  const inner = { settings: { wishes: { ...usualWishes, minor } } };
  const mount: Driver['mount'] = (request) => mountKernel(request, inner);
  return { name: 'kernel', load: () => Promise.resolve({ name: 'kernel', mount }) };
}

async function serve({ options, mount, minor }: DaemonSpec): Promise<void> {
  const timer = turnedTimer();
  const usual = await realParts(mount);
  const loaders = minor === undefined ? usual.loaders : [olderDriver(minor)];
  const session = await runMount(options, mount, { ...usual, loaders, timer });
  process.on('message', () => {
    check(session, timer);
  });
  process.on('disconnect', () => {
    session.unmount('force').catch(() => process.exit(1));
  });
  tell({ kind: 'mounted', rootHash: session.status().verdict.rootHash });
  await session.ended;
}

try {
  await serve(JSON.parse(process.argv[2] ?? '{}') as DaemonSpec);
} catch (thrown) {
  tell({ kind: 'refused', message: thrown instanceof Error ? thrown.message : String(thrown) });
}
process.exit();
