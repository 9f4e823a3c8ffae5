import { readFileSync, readlinkSync } from 'node:fs';
import type { ByteString } from '../format/bytes.js';

/** Number of CAP_SYS_ADMIN (capabilities(7)), and the name of the user namespace that the machine starts in. */
const capSysAdminBit = 21n;
const initialNamespace = 'user:[4026531837]';

/** Whether CAP_SYS_ADMIN is in a set of capabilities of a /proc/PID/status: those in effect, or the most there can be. */
export function hasSysAdmin(status: string, set: 'CapEff' | 'CapBnd'): boolean {
  const hex = new RegExp(`^${set}:\\s*([0-9a-f]{1,16})$`, 'm').exec(status)?.[1];
  return hex !== undefined && ((BigInt(`0x${hex}`) >> capSysAdminBit) & 1n) === 1n;
}

/**
 * How a process with this /proc/PID/status can mount: `own` by mount(2), `helper` through the
 * set-uid fusermount, `none` where even that gets no such right (capability bounds, no_new_privs).
 */
export function mountRights(status: string, root: boolean): 'own' | 'helper' | 'none' {
  if (hasSysAdmin(status, 'CapEff')) return 'own';
  const noNewPrivileges = /^NoNewPrivs:\s*1$/m.test(status);
  return !hasSysAdmin(status, 'CapBnd') || (!root && noNewPrivileges) ? 'none' : 'helper';
}

/**
 * Whether a process (or a thread, by its number) has CAP_SYS_ADMIN in the initial user namespace: the kernel
 * gives `trusted.*` to no other, and leaves it to the file system to list them to no other (xattr(7)). What
 * can't be found out counts as no. It waits for nothing, also where the process waits for us.
 */
export function isSystemAdministrator(pid: number | 'self'): boolean {
  if (pid === 0) return false;
  try {
    if (!hasSysAdmin(readFileSync(`/proc/${pid}/status`, 'latin1'), 'CapEff')) return false;
    return readlinkSync(`/proc/${pid}/ns/user`) === initialNamespace;
  } catch {
    return false;
  }
}

/** The names of a listing that may be shown. `mayAll` is asked only where it matters. */
export function shownNames(
  names: readonly ByteString[],
  mayAll: () => boolean,
): readonly ByteString[] {
  if (!names.some(isTrusted) || mayAll()) return names;
  return names.filter((name) => !isTrusted(name));
}

function isTrusted(name: ByteString): boolean {
  return name.startsWith('trusted.');
}
