import {
  initFlags,
  initFlags2,
  pagesMax,
  protocolMinorMax,
  protocolMinorMin,
  protocolMajor,
} from './constants.js';
import type { InitIn, Output } from './protocol.js';

/** What was agreed with the kernel at INIT. */
export interface Connection {
  readonly minor: number;
  /** Answering OPEN (OPENDIR) with ENOSYS means "never ask again", not "can't be opened". */
  readonly noOpen: boolean;
  readonly noOpendir: boolean;
  readonly readdirplus: boolean;
  readonly passthrough: boolean;
  readonly flags: number;
  readonly flags2: number;
}

export interface Wishes {
  /** The newest minor version to agree to. */
  readonly minor: number;
  readonly passthrough: boolean;
}

export const usualWishes: Wishes = { minor: protocolMinorMax, passthrough: false };

// Each is answered only if offered. What is not here is left off: AUTO_INVAL_DATA and
// EXPLICIT_INVAL_DATA (nothing changes below a node), EXPORT_SUPPORT (node ids end with the mount),
// READDIRPLUS_AUTO (saves nothing), HAS_RESEND (a held request must not come twice).
const wanted =
  initFlags.ASYNC_READ |
  initFlags.DO_READDIRPLUS |
  initFlags.NO_OPEN_SUPPORT |
  initFlags.PARALLEL_DIROPS |
  initFlags.POSIX_ACL |
  initFlags.ABORT_ERROR |
  initFlags.MAX_PAGES |
  initFlags.CACHE_SYMLINKS |
  initFlags.NO_OPENDIR_SUPPORT |
  initFlags.INIT_EXT;

/** The agreement for an INIT request; a text says why there can be none. */
export function negotiate(request: InitIn, wishes: Wishes): Connection | string {
  if (request.major !== protocolMajor) {
    return `the kernel speaks FUSE protocol ${request.major}.${request.minor}, not ${protocolMajor}`;
  }
  if (request.minor < protocolMinorMin) {
    return `the kernel's FUSE protocol 7.${request.minor} is older than 7.${protocolMinorMin}`;
  }
  const flags = request.flags & wanted;
  const extended = (flags & initFlags.INIT_EXT) !== 0;
  const wanted2 = initFlags2.NO_EXPORT_SUPPORT | (wishes.passthrough ? initFlags2.PASSTHROUGH : 0);
  const flags2 = extended ? request.flags2 & wanted2 : 0;
  return {
    minor: Math.min(request.minor, wishes.minor),
    noOpen: (flags & initFlags.NO_OPEN_SUPPORT) !== 0,
    noOpendir: (flags & initFlags.NO_OPENDIR_SUPPORT) !== 0,
    readdirplus: (flags & initFlags.DO_READDIRPLUS) !== 0,
    passthrough: (flags2 & initFlags2.PASSTHROUGH) !== 0,
    flags: flags >>> 0,
    flags2,
  };
}

// The kernel takes the smaller of this and its own; root can raise its own later (bdi read_ahead_kb).
const readaheadBytesMax = 1024 * 1024;
// Requests in the background (read-ahead): the kernel's 12 and 9 are few where the network is far.
const backgroundRequestsMax = 64;
const congestedRequests = 48;

export function encodeInit(output: Output, at: number, connection: Connection): number {
  const { view } = output;
  output.bytes.fill(0, at, at + 64);
  view.setUint32(at, protocolMajor, true);
  view.setUint32(at + 4, connection.minor, true);
  view.setUint32(at + 8, readaheadBytesMax, true);
  view.setUint32(at + 12, connection.flags, true);
  view.setUint16(at + 16, backgroundRequestsMax, true);
  view.setUint16(at + 18, congestedRequests, true);
  // max_write: nothing is ever written, this is the least that the kernel takes.
  view.setUint32(at + 20, 4096, true);
  view.setUint32(at + 24, 1, true);
  const pages = (connection.flags & initFlags.MAX_PAGES) !== 0 ? pagesMax : 0;
  view.setUint16(at + 28, pages, true);
  view.setUint32(at + 32, connection.flags2, true);
  view.setUint32(at + 36, connection.passthrough ? 1 : 0, true);
  return 64;
}
