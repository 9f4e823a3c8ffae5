import type { Driver } from '../../drivers/driver.js';
import type { Repository } from '../../repository/repository.js';

/**
 * What programs of 32 bits can expect. Said once, with the first number above 32 bits: that is the root's.
 */
export function inodesText(driver: Driver['name'], { inodes }: Pick<Repository, 'inodes'>): string {
  const about = '(README, "Old 32-bit programs")';
  if (inodes?.whole === true)
    return `inode numbers of 32 bits, given to the whole snapshot ${about}`;
  if (inodes !== undefined)
    return `inode numbers of 32 bits, given to names as they are seen ${about}`;
  if (driver === 'fuse-native') return `inode numbers are folded to 32 bits ${about}`;
  return `inode numbers have 63 bits: 32-bit programs built without large-file support need --inodes 32 ${about}`;
}
