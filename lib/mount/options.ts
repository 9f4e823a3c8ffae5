import type { ProtectedAttributes } from '../filesystem/magic.js';
import { mountOptionTable } from '../options/mount-options.js';
import type { OptionValues } from '../options/option.js';
import { valuesOf } from '../options/rows.js';
import { defaultWaitLimits } from '../source/wait.js';

/**
 * How to mount, as plain data, so that a daemon can be handed it. Made from the table of options, where a new
 * one goes; what stands here has no flag of its own.
 */
export interface MountOptions extends OptionValues<typeof mountOptionTable> {
  readonly mountpoint: string;
  /** Descriptor of the mountpoint, handed on by the process that started this one. */
  readonly place?: number;
  /** What the kernel shows as its source; undefined: the source of the mount. */
  readonly fsname?: string;
  /** The mountpoint was made for this mount, and goes with it. */
  readonly ownPlace?: boolean;
  /** Nothing of it can be executed. */
  readonly noExec?: boolean;
  /** Attributes that only the group 0 and these groups may read. */
  readonly protectedXattrs?: ProtectedAttributes;
  /** Milliseconds that a request waits for the network without progress. */
  readonly deadline: number;
  readonly verbose: boolean;
}

export type DriverChoice = MountOptions['driver'];

/** Milliseconds. */
export const defaultDeadline = defaultWaitLimits.deadline;

/** All options of a mount; what is not given is as the table says. */
export function mountOptions(
  given: Pick<MountOptions, 'mountpoint'> & Partial<MountOptions>,
): MountOptions {
  const defaults = valuesOf(mountOptionTable, {});
  return { ...defaults, deadline: defaultDeadline, verbose: false, ...given };
}
