/** Numbers of the FUSE kernel protocol, by the names of the kernel's header (linux/fuse.h). */

/** What we speak. A newer kernel steps down to ours; older ones than `oldestMinor` are refused. */
export const protocolMajor = 7;
export const protocolMinorMax = 45;
export const protocolMinorMin = 31;

export const headerSize = { request: 40, reply: 16 } as const;

/** The node id of the root, fixed by the protocol. */
export const rootNode = 1;

/** INIT flags, first word (bits 0 to 31). */
export const initFlags = {
  ASYNC_READ: 1 << 0,
  DO_READDIRPLUS: 1 << 13,
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  ABORT_ERROR: 1 << 21,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
  INIT_EXT: 1 << 30,
} as const;

/** INIT flags, second word (bits 32 and up), only with INIT_EXT. */
export const initFlags2 = {
  PASSTHROUGH: 1 << 5,
  NO_EXPORT_SUPPORT: 1 << 6,
} as const;

/** Flags of an OPEN or OPENDIR reply. */
export const openFlags = {
  DIRECT_IO: 1,
  KEEP_CACHE: 2,
  CACHE_DIR: 8,
  NOFLUSH: 32,
  PASSTHROUGH: 128,
} as const;

/** Codes of notifications (in the error field of a message whose unique is 0). */
export const notifyCodes = { INVAL_INODE: 2, INVAL_ENTRY: 3, INC_EPOCH: 8 } as const;

/** The protocol version from which a kernel knows NOTIFY_INC_EPOCH. */
export const incEpochMinor = 44;

/** "For ever", as a lifetime in seconds. */
export const foreverSeconds = 0xffffffff;

/** READs of up to 1 MiB (in pages of 4 KiB). */
export const pagesMax = 256;
const maxRead = pagesMax * 4096;

/** The kernel demands at least 8 KiB, and max_write + 80; a larger one takes larger BATCH_FORGETs. */
export const inputBytes = 128 * 1024;
export const outputSize = maxRead + 4096;
