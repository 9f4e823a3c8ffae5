import { readFile } from 'node:fs/promises';

/**
 * How many requests of a mount (its device, `major:minor`) the kernel holds that nobody has answered yet; undefined
 * where it does not tell: it tells who mounted, and root.
 */
export async function waitingRequests(device: string): Promise<number | undefined> {
  const minor = /^\d{1,10}:(\d{1,10})$/.exec(device)?.[1];
  if (minor === undefined) return undefined;
  const text = await readFile(`/sys/fs/fuse/connections/${minor}/waiting`, 'latin1').catch(
    () => '',
  );
  return /^\d{1,9}\n?$/.test(text) ? Number(text) : undefined;
}
