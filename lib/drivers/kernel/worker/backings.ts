import type { SystemCalls } from '../../../machine/system-calls.js';

/**
 * Files that the kernel reads itself, straight from the cache (FOPEN_PASSTHROUGH). The first open
 * decides for an inode until its last release: while it is open one way, opening it the other way fails
 * with EIO. Only root of the initial namespace may, whatever INIT offers.
 */
export interface Backings {
  /**
   * A file is opened. `find` gives a descriptor of its whole content, if the cache has that.
   * @returns the backing id; 0: READ requests as usual.
   */
  readonly open: (node: string, find: () => number | undefined) => number;
  readonly release: (node: string) => void;
  /** How many files are open in this way. */
  readonly count: () => number;
}

interface OpenFile {
  readonly id: number;
  opens: number;
}

// _IOW(229, 1, struct fuse_backing_map) and _IOW(229, 2, uint32_t).
const backingOpenIoctl = 0x4010e501;
const backingCloseIoctl = 0x4004e502;

export function openBackings(calls: Pick<SystemCalls, 'ioctl'>, device: number): Backings {
  const files = new Map<string, OpenFile>();
  let allowed = true;
  const idOf = (descriptor: number | undefined): number => {
    if (descriptor === undefined) return 0;
    // fuse_backing_map: fd@0:4 flags@4:4 padding@8:8.
    const map = Buffer.alloc(16);
    map.writeInt32LE(descriptor, 0);
    const id = calls.ioctl(device, backingOpenIoctl, map);
    if (id <= 0) allowed = false;
    return Math.max(0, id);
  };
  return {
    open(node, find) {
      const file = files.get(node);
      if (file !== undefined) {
        file.opens += 1;
        return file.id;
      }
      const id = allowed ? idOf(find()) : 0;
      files.set(node, { id, opens: 1 });
      return id;
    },
    release(node) {
      const file = files.get(node);
      if (file === undefined) return;
      file.opens -= 1;
      if (file.opens > 0) return;
      files.delete(node);
      if (file.id === 0) return;
      const id = Buffer.alloc(4);
      id.writeUInt32LE(file.id, 0);
      calls.ioctl(device, backingCloseIoctl, id);
    },
    count: () => [...files.values()].filter(({ id }) => id > 0).length,
  };
}
