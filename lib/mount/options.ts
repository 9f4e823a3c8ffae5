import { defaultPatience } from '../source/patience.js';

import type { ProtectedAttributes } from '../filesystem/magic.js';

/** How to mount, as plain data, so that a daemon can be handed it. */
export interface MountOptions {
  readonly mountpoint: string;
  /** Descriptor of the mountpoint, handed on by the process that started this one. */
  readonly place?: number;
  /** What the kernel shows as its source; undefined: the source of the order. */
  readonly fsname?: string;
  readonly driver: DriverChoice;
  readonly allowOther: boolean;
  readonly suid: boolean;
  readonly dev: boolean;
  /** Nothing of it can be executed. */
  readonly noExec?: boolean;
  readonly noXattrs: boolean;
  /** Attributes that only the group 0 and these groups may read. */
  readonly protectedXattrs?: ProtectedAttributes;
  /** Let the kernel read large whole files of the cache itself (kernel driver, root); for few large files. */
  readonly passthrough?: boolean;
  /** Milliseconds that a request waits for the network without progress. */
  readonly deadline: number;
  /** File that the log goes to; undefined: stderr. */
  readonly log?: string;
  readonly verbose: boolean;
  /** File that gets one line for each request (kernel driver). */
  readonly trace?: string;
}

export type DriverChoice = 'auto' | 'fuse-native' | 'kernel';

export const driverChoices: readonly DriverChoice[] = ['auto', 'fuse-native', 'kernel'];

/** Milliseconds. */
export const defaultDeadline = defaultPatience.deadline;

/** `/dev/fd/N`: mount.fuse3 has mounted already, and hands the device to us as descriptor N. */
export function passedDescriptor(mountpoint: string): number | undefined {
  const text = /^\/dev\/fd\/(\d{1,3})$/.exec(mountpoint)?.[1];
  return text === undefined ? undefined : Number(text);
}
