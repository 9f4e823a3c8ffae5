import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { waitingRequests } from '../../lib/machine/kernel-queue.js';
import type { ListedMount } from '../../lib/mount/list.js';
import { openLiveScreen } from './live-screen.js';
import { print } from './output.js';
import { watchColumns, watchRow, type WatchSample } from './status-table.js';
import { tableLines } from './table.js';

/* `pinfs status --watch`. */

const intervalMs = 1000;

/** Shows what `list` gives once a second: in place on a terminal, elsewhere a line for each mount, the time before it. */
export async function watchStatus(list: () => Promise<readonly ListedMount[]>): Promise<void> {
  // Before anything is taken from a terminal: what was asked for may not be there.
  const first = await sampled(list);
  await (process.stdout.isTTY ? watchOnScreen(first, list) : watchAsLines(first, list));
}

async function watchOnScreen(
  first: WatchSample,
  list: () => Promise<readonly ListedMount[]>,
): Promise<void> {
  const screen = openLiveScreen();
  let [before, now]: [WatchSample | undefined, WatchSample] = [undefined, first];
  const pause = new AbortController();
  void screen.ended.then(() => pause.abort());
  try {
    for (;;) {
      screen.show([...lines(now, before, true), '', 'q ends it']);
      await paused(pause.signal);
      // A mount that does not answer keeps nobody who wants to leave.
      const next = await Promise.race([sampled(list), screen.ended]);
      if (next === undefined) break;
      [before, now] = [now, next];
    }
  } finally {
    screen.close();
  }
  // What stood there last stays to be read.
  for (const line of lines(now, before, true)) await print(`${line}\n`);
}

async function watchAsLines(
  first: WatchSample,
  list: () => Promise<readonly ListedMount[]>,
): Promise<void> {
  let [before, now]: [WatchSample | undefined, WatchSample] = [undefined, first];
  const pause = new AbortController();
  void once(process.stdout, 'error').then(
    () => pause.abort(),
    () => pause.abort(),
  );
  for (;;) {
    const time = `${new Date().toISOString().slice(0, 19)}Z`;
    for (const line of lines(now, before, false)) await print(`${time}  ${line}\n`);
    await paused(pause.signal);
    [before, now] = [now, await sampled(list)];
  }
}

async function paused(signal: AbortSignal): Promise<void> {
  await wait(intervalMs, undefined, { signal }).catch(() => undefined);
}

async function sampled(list: () => Promise<readonly ListedMount[]>): Promise<WatchSample> {
  const mounts = await list();
  const queues = await Promise.all(mounts.map(({ status }) => queueOf(status?.device ?? null)));
  const watched = mounts.map((mount, at) => ({ mount, queue: queues[at] }));
  return { at: performance.now(), mounts: watched };
}

async function queueOf(device: string | null): Promise<number | undefined> {
  return device === null ? undefined : await waitingRequests(device);
}

function lines(now: WatchSample, before: WatchSample | undefined, heads: boolean): string[] {
  const rows = now.mounts.map((one) => watchRow(one, now, before));
  return rows.length === 0 ? ['no pinfs mounts'] : tableLines(watchColumns, rows, heads);
}
