import { readFileSync, type Stats } from 'node:fs';

/* Whose a file is, and whether others can have a hand in it. */

/** The user as whom this process makes files; undefined where there are no such numbers. */
export function ownUser(): number | undefined {
  return process.geteuid?.();
}

let unmapped: number | undefined | 'unknown' = 'unknown';

/**
 * In a namespace of users whose owners are not all known, those of the rest (root's of the machine
 * among them) are shown as this one.
 */
function unmappedOwner(): number | undefined {
  if (unmapped !== 'unknown') return unmapped;
  try {
    const all = /^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'latin1'));
    const shown = Number(readFileSync('/proc/sys/kernel/overflowuid', 'latin1'));
    unmapped = all || !Number.isInteger(shown) ? undefined : shown;
  } catch {
    unmapped = undefined;
  }
  return unmapped;
}

/** Ours. */
export function isOurs(status: Pick<Stats, 'uid'>): boolean {
  const self = ownUser();
  return self === undefined || status.uid === self;
}

/** Ours or root's, who can do anything anyway. */
export function isTrusted(status: Pick<Stats, 'uid'>): boolean {
  return isOurs(status) || status.uid === 0 || status.uid === unmappedOwner();
}

/** Whether others may write. A group that is named after its one user is private (pam_umask(8), `usergroups`). */
export function othersMayWrite(status: Pick<Stats, 'mode' | 'gid'>): boolean {
  if ((status.mode & 0o002) !== 0) return true;
  if ((status.mode & 0o020) === 0 || status.gid === 0) return false;
  return status.gid !== ownUser() || status.gid !== process.getegid?.();
}
