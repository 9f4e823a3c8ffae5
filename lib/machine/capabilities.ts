import { readFileSync, readlinkSync } from 'node:fs';
import type { ByteString } from '../format/bytes.js';

/** Number of CAP_SYS_ADMIN (capabilities(7)), and the name of the user namespace that the machine starts in. */
const capSysAdminBit = 21n;
const initialNamespace = 'user:[4026531837]';

/**
 * Whether a process (or a thread, by its number) has CAP_SYS_ADMIN in the initial user namespace: the kernel
 * gives `trusted.*` to no other, and leaves it to the file system to list them to no other (xattr(7)). What
 * can't be found out counts as no. It waits for nothing, also where the process waits for us.
 */
export function isSystemAdministrator(pid: number | 'self'): boolean {
  if (pid === 0) return false;
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const effective = /^CapEff:\t([0-9a-f]{16})$/m.exec(status)?.[1];
    if (effective === undefined || ((BigInt(`0x${effective}`) >> capSysAdminBit) & 1n) === 0n)
      return false;
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
