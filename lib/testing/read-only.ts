import { execFileSync } from 'node:child_process';
import { chmodSync } from 'node:fs';

interface Ending {
  teardown(clean: () => unknown): unknown;
}

/** Makes a directory one that can only be read, for root as well, until the end of a test. @returns whether that can be done here. */
export function makeReadOnly(t: Ending, directory: string): boolean {
  if (process.geteuid?.() !== 0) {
    chmodSync(directory, 0o500);
    t.teardown(() => chmodSync(directory, 0o700));
    return true;
  }
  try {
    execFileSync('mount', ['--bind', directory, directory], { stdio: 'ignore' });
    t.teardown(() => execFileSync('umount', ['-l', directory]));
    execFileSync('mount', ['-o', 'remount,bind,ro', directory], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
