import { readFileSync } from 'node:fs';

/** What the administrator lets users do, for fusermount and libfuse (mount.fuse(8)). */
export const fuseConfigurationPath = '/etc/fuse.conf';

/** The line that lets users mount with `allow_other`. */
export const userAllowOtherLine = 'user_allow_other';

/** Whether the text of a fuse.conf lets users say `allow_other`. */
export function userAllowOther(text: string): boolean {
  return text.split('\n').some((line) => line.trim() === userAllowOtherLine);
}

/** Likewise that of this machine; one that can't be read does not. */
export function usersMayShare(): boolean {
  try {
    return userAllowOther(readFileSync(fuseConfigurationPath, 'utf8'));
  } catch {
    return false;
  }
}
