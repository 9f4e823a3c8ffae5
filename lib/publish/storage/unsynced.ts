import { createReadStream } from 'node:fs';
import { open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasherOf, objectNameOf } from '../../format/hash.js';
import { bootName, syncDirectory, syncFileSystem } from './sync.js';

/*
 * Objects are not synced one by one. While some may not be on the disk, a file says so, with the run of the machine in
 * which they were written: if that is over, those which the disk never got are found and dropped before the next one
 * to write takes them for whole. Nothing that was published names them.
 */

export interface Unsynced {
  /** Before an object is written. */
  begin(): Promise<void>;
  /** Makes durable what was written. */
  end(): Promise<void>;
}

const markerName = 'unsynced';

/** @param own folder of what is the storage's own */
export function openUnsynced(root: string, own: string): Unsynced {
  let begun: Promise<void> | undefined;
  return {
    begin: () => (begun ??= mark(own)),
    async end() {
      if (begun === undefined) return;
      await begun;
      await syncFileSystem(root);
      await rm(join(own, markerName), { force: true });
      begun = undefined;
    },
  };
}

async function mark(own: string): Promise<void> {
  const handle = await open(join(own, markerName), 'w');
  try {
    await handle.writeFile(await bootName());
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(own);
}

/** Removes objects that a crash of the machine left damaged. Call it under the lock, before anything is written. */
export async function dropTorn(root: string, own: string): Promise<void> {
  const marker = join(own, markerName);
  const boot = await readFile(marker, 'latin1').catch(() => undefined);
  if (boot === undefined) return;
  if (boot !== (await bootName())) {
    // An object that was written within the same tick of a coarse clock may look a little older.
    const since = (await stat(marker)).mtimeMs - 2000;
    await dropDamagedSince(join(root, 'data'), since);
  }
  await syncFileSystem(root);
  await rm(marker, { force: true });
}

async function dropDamagedSince(data: string, since: number): Promise<void> {
  for (const folder of await readdir(data).catch(() => [])) {
    for (const name of await readdir(join(data, folder)).catch(() => [])) {
      const file = join(data, folder, name);
      const status = await stat(file);
      const object = objectNameOf(folder + name);
      if (!status.isFile() || status.mtimeMs < since || object === undefined) continue;
      const hasher = hasherOf(object.hash.algorithm);
      for await (const piece of createReadStream(file)) hasher.update(piece as Buffer);
      if (hasher.digest().text !== object.hash.text) await rm(file);
    }
  }
}
