import { closeSync, mkdtempSync, realpathSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { mountDevice } from '../drivers/kernel/mounting.js';
import { asPinfsError, type PinfsError } from '../format/errors.js';
import { temporaryDirectory } from '../machine/places.js';

/**
 * Mounts in a private directory as a mount of ours would, and takes that away again at once; nothing is served,
 * so nothing there may be looked at. Both drivers mount in this way. @returns why it can't be done; undefined if it can.
 */
export async function tryMount(): Promise<PinfsError | undefined> {
  let place: string | undefined;
  try {
    place = realpathSync(mkdtempSync(join(temporaryDirectory(), 'pinfs-trial-')));
    const mounted = await mountDevice({
      mountpoint: place,
      source: 'pinfs:trial',
      allowOther: false,
      suid: false,
      dev: false,
      noExec: false,
    });
    try {
      await mounted.unmount('lazy');
    } finally {
      closeSync(mounted.device);
    }
    return undefined;
  } catch (thrown) {
    return asPinfsError(thrown);
  } finally {
    remove(place);
  }
}

function remove(place: string | undefined): void {
  try {
    if (place !== undefined) rmdirSync(place);
  } catch {
    return;
  }
}
