import type { Storage } from '../storage/storage.js';

const statusFile = '.cvmfs_status.json';
const statusBytesMax = 64 * 1024;

/** Notes when a copy began, where those who watch servers look for it (docs/format.md, 1). */
export async function noteCopyBegin(storage: Storage, now: Date): Promise<void> {
  await storage.write('.cvmfs_is_snapshotting', Buffer.from(`${dateText(now)}\n`));
}

export async function noteCopyEnd(storage: Storage, now: Date): Promise<void> {
  await storage.write('.cvmfs_last_snapshot', Buffer.from(`${dateText(now)}\n`));
  await noteStatus(storage, 'last_snapshot', now);
}

export async function noteCopyOver(storage: Storage): Promise<void> {
  await storage.remove('.cvmfs_is_snapshotting');
}

/** Says in the status file when something was done last; what else it says stays (docs/format.md, 1). */
export async function noteStatus(
  storage: Storage,
  what: 'last_snapshot' | 'last_gc',
  now: Date,
): Promise<void> {
  const status = { ...(await readStatus(storage)), [what]: dateText(now) };
  await storage.write(statusFile, Buffer.from(`${JSON.stringify(status)}\n`));
}

/** What it says besides; nothing where it is none. */
async function readStatus(storage: Storage): Promise<object> {
  try {
    const found = await storage.read(statusFile, statusBytesMax);
    const status: unknown = JSON.parse(found?.bytes.toString('utf8') ?? '{}');
    return typeof status === 'object' && status !== null && !Array.isArray(status) ? status : {};
  } catch {
    return {};
  }
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** As `date --utc` writes it with the locale C. */
export function dateText(date: Date): string {
  const day = String(date.getUTCDate()).padStart(2);
  const time = date.toISOString().slice(11, 19);
  const [name, month] = [days[date.getUTCDay()], months[date.getUTCMonth()]];
  return `${name ?? ''} ${month ?? ''} ${day} ${time} UTC ${date.getUTCFullYear()}`;
}
