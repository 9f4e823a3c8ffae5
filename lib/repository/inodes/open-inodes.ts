import type { InodePlace } from '../../filesystem/snapshot-descriptor.js';
import { directories } from '../open/environment.js';
import { openInodeState, type InodeState } from './inode-state.js';
import type { Opening } from '../open/opening.js';

export interface OpenedInodes {
  readonly place: InodePlace;
  /** Those that this thread gives. */
  readonly state: InodeState;
}

/** Inode numbers of 32 bits for a snapshot, if they are asked for. */
export function openInodes(
  { options, environment, fqrn }: Opening,
  rootHash: string,
): OpenedInodes | undefined {
  if (options.inodes !== 32) return undefined;
  const place = { directory: directories(options, environment).state, fqrn, rootHash };
  const state = openInodeState(place, {
    report: environment.report ?? (() => undefined),
    onPending: () => {
      setImmediate(() => {
        state.flush();
      });
    },
  });
  return { place, state };
}
